# shellcheck shell=sh
# Sent by sparkqfs/gather/records.py, which says what its words are.
cluster=$1
shift
records_in /var/lib/sparkqfs "$cluster"
for file in "$@"; do
  record "$file"
  [ ! -f "${file%/*}/restore.json" ] || printf 'restoring\tyes\n'
done
