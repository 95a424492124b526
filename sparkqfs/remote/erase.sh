# shellcheck shell=sh
# Sent by sparkqfs/jobs/storage/file_system.py, which says what its words are.
. ./to_disk.sh
set -eu
top=$1; shift
for d in "$@"; do
  p=$d
  while :; do
    [ ! -L "$p" ] || { echo "$p is a symbolic link; it is not followed, nothing was erased" >&2; exit 1; }
    case "$p" in */"$top"/*|*/metastore/*) p=${p%/*};; *) break;; esac
  done
done
for d in "$@"; do
  [ -d "$d" ] || continue
  find "$d" -xdev -mindepth 1 -delete
  to_disk "$d"
  printf 'erased\t%s\n' "$d"
done
