# shellcheck shell=sh
# Sent by sparkqfs/jobs/storage/aside.py, which says what its words are.
set -eu
. ./to_disk.sh
top=$1 id=$2 mode=$3; shift 3
for d in "$@"; do
  kept=$d/$top/kept
  for p in "$d/$top" "$kept"; do
    [ ! -L "$p" ] || { echo "$p is a symbolic link; it is not followed" >&2; exit 1; }
  done
  [ -d "$kept/$id" ] || continue
  if [ "$mode" = 'in place' ]; then
    find "$kept/$id" -xdev -type f -links +1 -delete
    find "$kept/$id" -xdev -depth -type d -empty -delete
    # Nothing more is removed: what else is here are the last names of their bytes.
    if [ -e "$kept/$id" ]; then
      to_disk "$kept/$id"
      printf 'left\t%s\n' "$kept/$id"
      continue
    fi
  else
    rm -rf "${kept:?}/$id"
  fi
  rmdir "$kept" 2>/dev/null || :
  to_disk "$d/$top"
  printf 'gone\t%s\n' "$kept/$id"
done
