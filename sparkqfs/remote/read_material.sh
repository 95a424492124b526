# shellcheck shell=sh
# Sent by sparkqfs/jobs/cluster/recovery.py, which says what its words are.
set -eu
folder=$1 most=$2; shift 2
for name in "$@"; do
  [ -f "$folder/$name" ] || continue
  printf '%s ' "$name"
  head -c "$most" "$folder/$name" | base64 | tr -d '\n'
  echo
done
echo end
