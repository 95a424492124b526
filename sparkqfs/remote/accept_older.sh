# shellcheck shell=sh
# Sent by sparkqfs/jobs/storage/copies.py, which says what its words are.
top=$1 mark=$2 uid=$3 gid=$4
. ./to_disk.sh
printf '%s\n' "$mark" | setpriv --reuid "$uid" --regid "$gid" --clear-groups tee -a "$top/.accepted-copies" > /dev/null &&
  to_disk "$top/.accepted-copies" "$top"
