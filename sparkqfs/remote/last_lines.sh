# shellcheck shell=sh
# Sent by sparkqfs/jobs/programs/apps.py, which says what its words are.
folder=$1 lines=$2
cd "$folder" 2>/dev/null || exit 0
show() {
  name=$1 end=0 have=0 gone=; shift
  for f in "$@"; do
    size=$(stat -c %s -- "$f" 2>/dev/null) || size=0
    n=0
    case $f in *@*) n=${f##*@}; n=${n#"${n%%[!0]*}"};; esac
    end=$((n + size)) have=$((have + size))
  done
  case $# in 0) return 0;; esac
  case $f in *@*) gone=$((end - have));; esac
  [ ! -f "$d.${name##*/}.gone" ] || gone=$(head -c 40 "$d.${name##*/}.gone")
  [ "${gone:-0}" = 0 ] || printf '%s-gone\t%s\n' "$name" "$gone"
  printf '%s\t%s\n' "$name" "$(cat -- "$@" 2>/dev/null | tail -c 1000000 | tail -n "$lines" | base64 -w 0)"
}
for d in '' [0-9]*/; do
  for f in "${d}stderr" "${d}stdout"; do
    set --
    for part in "$f"--* "$f" "$f"@*; do
      case $part in *@*[!0-9]*) continue;; esac
      [ ! -f "$part" ] || set -- "$@" "$part"
    done
    show "$f" "$@"
  done
done
