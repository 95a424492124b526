# shellcheck shell=sh
# Sent by sparkqfs/jobs/session.py, which says what its words are.
owner=$1 name=/run/lock/sparkqfs-$2.lock place=/run/lock/sparkqfs-$3.lock silence=$4 wait=$5
lock() { number=$1 file=$2; flock -w "$wait" "$number" || { printf 'held\t%s\n' "$(cat "$file")"; exit 9; }; }
exec 8>>"$name" 9>>"$place"
lock 8 "$name"
lock 9 "$place"
printf '%s\n' "$owner" > "$name"
printf '%s\n' "$owner" > "$place"
printf 'locked\n'
while [ -n "$(exec timeout "$silence" head -c 1 8>&- 9>&-)" ]; do :; done
