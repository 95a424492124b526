# shellcheck shell=sh
# Sent by sparkqfs/jobs/storage/aside.py, which says what its words are.
set -eu
. ./to_disk.sh
top=$1 blocks=$2 id=$3; shift 3
for d in "$@"; do
  source=$d/$top/$blocks kept=$d/$top/kept
  [ -d "$source" ] || continue
  for p in "$d/$top" "$source" "$kept" "$kept/$id"; do
    [ ! -L "$p" ] || { echo "$p is a symbolic link; it is not followed" >&2; exit 1; }
  done
  if [ -d "$kept/$id" ]; then printf 'kept\t%s\n' "$kept/$id"; continue; fi
  [ -d "$kept" ] || mkdir -m 0700 "$kept"
  rm -rf "$kept/$id.new"
  cp -a -l "$source" "$kept/$id.new"
  mv -T "$kept/$id.new" "$kept/$id"
  to_disk "$kept/$id" "$kept" "$d/$top"
  printf 'kept\t%s\n' "$kept/$id"
done
