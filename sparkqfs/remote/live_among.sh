# shellcheck shell=sh disable=SC2034
# Sent by sparkqfs/jobs/storage/aside.py, which says what its words are: which of the names with sizes on standard input
# are here.
set -euf
. ./list_blocks.sh
top=$1 blocks=$2 block_files=$3; shift 3
dir=$(mktemp -d /var/tmp/sparkqfs-live.XXXXXX)
trap 'rm -rf "$dir"' EXIT INT TERM
LC_ALL=C sort -u > "$dir/asked"
: > "$dir/live"
for d in "$@"; do
  if [ -d "$d/$top/$blocks" ]; then list_blocks "$d/$top/$blocks" "$dir/live" ''; fi
done
LC_ALL=C sort -u "$dir/live" > "$dir/live.sorted"
LC_ALL=C comm -12 "$dir/asked" "$dir/live.sorted"
echo end
