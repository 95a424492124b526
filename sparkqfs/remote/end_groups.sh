# shellcheck shell=sh
# Sent by sparkqfs/clients/ssh.py, which says what its words are. SIGTERM, and SIGKILL a second and a half later.

# a process that has ended and that nobody waits for has gone
has_life() {
  wanted=$1
  kill -s 0 -- "$wanted" 2>/dev/null || return 1
  for stat in /proc/[0-9]*/stat; do
    read -r line <"$stat" || continue
    line=${line##*) }
    group=${line#* * }
    [ "${line%% *}" = Z ] || [ "-${group%% *}" != "$wanted" ] || return 0
  done 2>/dev/null
  return 1
}

are_left() {
  for one; do has_life "$one" && return 0; done
  return 1
}

for name in TERM KILL; do
  for one; do kill -s "$name" -- "$one" 2>/dev/null; done
  n=0
  while [ "$n" -lt 15 ]; do
    are_left "$@" || exit 0
    n=$((n + 1))
    sleep 0.1
  done
done
exit 1
