# shellcheck shell=sh
# Sent by sparkqfs/jobs/watching/logs.py, which says what its words are, and what it prints.
stack=$1 wanted=$2 width=$3 mode=$4 silence=$5 since=$6 tail=$7 steady=$8; shift 8
buffer=; if command -v stdbuf >/dev/null; then buffer='stdbuf -oL'; fi
list() {
  docker ps -a --no-trunc --filter "label=com.docker.stack.namespace=$stack" \
    --format '{{.ID}} {{.Label "com.docker.swarm.service.name"}}'
}
is_wanted() {
  is_wanted_service=${1#"${stack}_"}
  case $wanted in '' | "$is_wanted_service") return 0;; worker-node) ;; *) return 1;; esac
  case $is_wanted_service in worker-node-*) return 0;; esac
  return 1
}
lines() {
  lines_id=$1; shift
  docker logs --timestamps "$@" "$lines_id" 2>&1 | $buffer cut -b "1-$width" | $buffer sed "s/^/$lines_id /"
}
once() {
  services=' '
  while read -r id service; do
    [ -n "$id" ] || continue
    printf '@ %s %s\n' "$id" "${service#"${stack}_"}"
    is_wanted "$service" || continue
    # without a time, only the newest container of a service
    case "$services" in *" $service "*) [ -n "$since" ] || continue;; esac
    services="$services$service "
    lines "$id" --tail "$tail" ${since:+--since "$since"} </dev/null
  done
}
begin_of() {
  begin_of_id=$1; shift
  for begin_of_known in "$@"; do
    case $begin_of_known in "$begin_of_id="*) printf '%s\n' "${begin_of_known#*=}"; return 0;; esac
  done
  printf '%s\n' "$since"
}
follow_one() {
  one_id=$1; shift
  one_begin=$(begin_of "$one_id" "$@") one_pause=1
  while :; do
    one_started=$(date +%s)
    lines "$one_id" --follow --since "$one_begin"
    [ "$(docker inspect -f '{{.State.Running}}' "$one_id" 2>/dev/null)" = true ] || return 0
    # its log has ended before the container has: it alone is read again, after longer and longer pauses
    [ $(($(date +%s) - one_started)) -lt "$steady" ] || one_pause=1
    sleep "$one_pause"
    printf '! %s\n' "$one_id"
    one_pause=$((one_pause * 2))
    [ "$one_pause" -le 60 ] || one_pause=60
  done
}
follow() {
  trap end PIPE # nobody reads, although standard input is open: whoever was to see that was killed
  seen=' '
  while found=$(list 2>&1); do
    now=' '
    while read -r id service; do
      [ -n "$id" ] || continue
      now="$now$id "
      case "$seen" in *" $id "*) continue;; esac
      printf '@ %s %s\n' "$id" "${service#"${stack}_"}"
      is_wanted "$service" || continue
      follow_one "$id" "$@" </dev/null &
    done <<LIST
$found
LIST
    seen=$now
    echo .
    sleep 2
  done
  printf 'x %s\n' "$(printf %s "$found" | tail -n 1)"
  end
}
end() { trap '' TERM; sleep 0.2; kill -s TERM 0; exit 0; }
if [ "$mode" = once ]; then
  date +'t %s.%N'
  found=$(list) || exit 1
  printf '%s\n' "$found" | once
  exit 0
fi
{ follow "$@" | cat; } &
while [ -n "$(exec timeout "$silence" head -c 1)" ]; do :; done
end
