# shellcheck shell=sh
# Sent by sparkqfs/jobs/session.py, which says what its words are.
owner=$1 file=/run/lock/sparkqfs-$2.lock
[ "$(cat "$file")" = "$owner" ] || exit 9
flock -n "$file" true && exit 9
exit 0
