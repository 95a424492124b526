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
  if [ ! -d "$kept/$id" ]; then
    [ -d "$kept" ] || mkdir -m 0700 "$kept"
    rm -rf "$kept/$id.new"
    cp -a -l "$source" "$kept/$id.new"
    mv -T "$kept/$id.new" "$kept/$id"
    to_disk "$kept/$id" "$kept" "$d/$top"
  fi
  printf 'kept\t%s\n' "$kept/$id"
  # What an earlier restore has kept, and nobody has under another name: this metadata may have names for it again.
  for old in "$kept"/*Z; do
    if [ "$old" = "$kept/$id" ] || [ ! -d "$old" ] || [ -L "$old" ]; then continue; fi
    (cd "$old" && find . -xdev -type f -links 1 -exec sh -c '
      source=$1; shift
      for file in "$@"; do
        [ -d "$source/${file%/*}" ] && [ ! -e "$source/$file" ] && ln -- "$file" "$source/$file" && echo back
      done; :' sh "$source" {} +) | wc -l | sed "s|^|back\t$old\t|"
  done
  to_disk "$source"
done
