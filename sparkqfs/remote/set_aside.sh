# shellcheck shell=sh
# Sent by sparkqfs/jobs/storage/aside.py, which says what its words are.
set -eu
. ./to_disk.sh
top=$1 blocks=$2 number=$3 id=$4; shift 4
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
  # What an earlier restore has kept, and nobody has under another name: this metadata may have names for it again. A
  # master tells blocks apart by their numbers alone, so none goes back beside a newer one with its number.
  for old in "$kept"/*Z; do
    if [ "$old" = "$kept/$id" ] || [ ! -d "$old" ] || [ -L "$old" ]; then continue; fi
    {
      (cd "$old" && find . -xdev -type f -links 1 -printf 'kept %f %p\n')
      for one in "$@"; do
        [ ! -d "$one/$top/$blocks" ] || find "$one/$top/$blocks" -xdev -type f -printf 'live %f\n'
      done
    } | awk -v "pattern=$number" '
      { number = $2; sub(pattern, "&\n", number); sub(/\n.*/, "", number); sub(/^.*[^0-9-]/, "", number) }
      $1 == "kept" { sub(/^kept [^ ]* /, ""); paths[number] = paths[number] $0 "\n"; next }
      { delete paths[number] }
      END { for (number in paths) printf "%s", paths[number] }' | (
      cd "$old"
      while read -r file; do
        [ -d "$source/${file%/*}" ] && [ ! -e "$source/$file" ] && ln -- "$file" "$source/$file" && echo back
      done
      :
    ) | wc -l | sed "s|^|back\t$old\t|"
  done
  to_disk "$source"
done
