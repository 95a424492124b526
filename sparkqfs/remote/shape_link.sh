# shellcheck shell=sh
# Sent by sparkqfs/jobs/measuring/bench_link.py, which says what its words are.
container=$1 address=$2 network=$3 rate=$4 burst=$5 limit=$6 handle=$7
fail() { why=$1; [ "$rate" = 0 ] && exit 0; echo "$why" >&2; exit 9; }
for program in tc ip nsenter; do command -v "$program" >/dev/null || fail "no $program here"; done
pid=$(docker inspect -f '{{.State.Pid}}' "$container") || fail 'the container is gone'
id=$(docker network inspect -f '{{.Id}}' "$network") || fail "no network $network"
inside() { nsenter -t "$pid" -n -- "$@"; }
outside() { nsenter --net="/var/run/docker/netns/1-$(printf %.10s "$id")" -- "$@"; }
device=$(inside ip -4 -o addr show | awk -v "a=$address/" 'index($4, a) == 1 {print $2; exit}')
[ -n "$device" ] || fail "no interface with $address in the container"
peer=$(inside ip -o link show dev "$device" | sed -n 's/^[0-9]*: [^@:]*@if\([0-9]*\):.*/\1/p')
port=$(outside ip -o link show | sed -n "s/^${peer:-none}: \([^@:]*\)[@:].*/\1/p")
[ -n "$port" ] || fail "the other end of $device is not found"
has() { side=$1 link=$2; "$side" tc qdisc show dev "$link" root; }
free() { side=$1 link=$2; case "$(has "$@")" in "qdisc tbf $handle "*) "$side" tc qdisc del dev "$link" root;; esac; }
free_both() { free inside "$device"; free outside "$port"; }
shape() {
  side=$1 link=$2
  case "$(has "$@")" in *noqueue*|'') ;; *) fail "$link has a queueing discipline already";; esac
  "$side" tc qdisc add dev "$link" root handle "$handle" tbf rate "${rate}bit" burst "$burst" latency 50ms || exit 9
}
free_both
[ "$rate" = 0 ] && exit 0
trap free_both EXIT
trap 'exit 143' HUP INT TERM
shape inside "$device"
shape outside "$port"
printf 'shaped\n'
timeout "$limit" cat >/dev/null
