# shellcheck shell=sh
# Sent by sparkqfs/jobs/storage/file_system.py, which says what its words are.
# `look` only says what stands against it, `erase` erases.
. ./to_disk.sh
set -eu
mode=$1 top=$2; shift 2
for d in "$@"; do
  p=$d
  while :; do
    [ ! -L "$p" ] || { echo "$p is a symbolic link; it is not followed, nothing was erased" >&2; exit 1; }
    case "$p" in */"$top"/*|*/metastore/*) p=${p%/*};; *) break;; esac
  done
done
for d in "$@"; do
  [ -d "$d" ] || continue
  other=$(find "$d" -xdev -mindepth 2 -name .cluster-id -print -quit)
  if [ -n "$other" ]; then echo "$other is in there: it is the disk of another cluster; nothing was erased" >&2; exit 1; fi
done
[ "$mode" = erase ] || exit 0
for d in "$@"; do
  [ -d "$d" ] || continue
  find "$d" -xdev -mindepth 1 -delete
  to_disk "$d"
  printf 'erased\t%s\n' "$d"
done
