# shellcheck shell=sh disable=SC2034
# Sent by sparkqfs/jobs/storage/aside.py, which says what its words are. Only reads.
set -euf
. ./list_blocks.sh
top=$1 blocks=$2 id=$3 block_files=$4 most=$5; shift 5
dir=$(mktemp -d /run/sparkqfs-aside.XXXXXX)
trap 'rm -rf "$dir"' EXIT INT TERM
: > "$dir/kept"; : > "$dir/live"
for d in "$@"; do
  if [ -d "$d/$top/kept/$id" ]; then list_blocks "$d/$top/kept/$id" >> "$dir/kept"; fi
  if [ -d "$d/$top/$blocks" ]; then list_blocks "$d/$top/$blocks" >> "$dir/live"; fi
done
LC_ALL=C sort -u "$dir/kept" > "$dir/kept.sorted"
cut -f 1 "$dir/live" | LC_ALL=C sort -u > "$dir/live.sorted"
LC_ALL=C join -t "$(printf '\t')" -v 1 "$dir/kept.sorted" "$dir/live.sorted" > "$dir/only"
printf 'kept\t%s\n' "$(wc -l < "$dir/kept.sorted")"
printf 'count\t%s\n' "$(wc -l < "$dir/only")"
head -n "$most" "$dir/only" | sed 's/^/only\t/'
echo end
