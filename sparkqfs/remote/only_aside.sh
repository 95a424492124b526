# shellcheck shell=sh disable=SC2034
# Sent by sparkqfs/jobs/storage/aside.py, which says what its words are. Only reads.
# A kept file of one link is the last name of its bytes on this disk.
set -euf
. ./list_blocks.sh
top=$1 id=$2 block_files=$3 most=$4; shift 4
dir=$(mktemp -d /var/tmp/sparkqfs-aside.XXXXXX)
trap 'rm -rf "$dir"' EXIT INT TERM
: > "$dir/kept"; : > "$dir/only"
for d in "$@"; do
  if [ -d "$d/$top/kept/$id" ]; then
    list_blocks "$d/$top/kept/$id" "$dir/kept" ''
    list_blocks "$d/$top/kept/$id" "$dir/only" '-links 1'
  fi
done
LC_ALL=C sort -u "$dir/only" > "$dir/only.sorted"
printf 'kept\t%s\n' "$(wc -l < "$dir/kept")"
printf 'count\t%s\n' "$(wc -l < "$dir/only.sorted")"
head -n "$most" "$dir/only.sorted" | sed 's/^/only\t/'
echo end
