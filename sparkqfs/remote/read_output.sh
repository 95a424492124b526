# shellcheck shell=sh
# Sent by sparkqfs/jobs/programs/drivers.py, which says what its words are.
submission=$1 out_from=$2 err_from=$3 reader=$4
cd "@FOLDER@/$submission" 2>/dev/null || exit 0
[ -z "$reader" ] || { printf '%s %s\n' "$((out_from - 1))" "$((err_from - 1))" > ".r-$reader" &&
  mv -f ".r-$reader" ".reader-$reader"; } || rm -f ".r-$reader"
one() { head -n 1 | head -c 1000 | LC_ALL=C tr -cd '\040-\176'; }
[ ! -f exit ] || printf 'exit\t%s\n' "$(head -c 40 exit | one)"
[ ! -f spark.log ] || printf 'app\t%s\n' "$(grep 'app ID app-' spark.log | tail -n 1 | one)"
[ ! -f executors.log ] || printf 'executors\t%s\n' "$(grep -c 'Granted executor ID' executors.log)"
! head -c @KNOWN_BYTES@ app.json 2>/dev/null | grep -q '"restart": true' || printf 'runs\t%s\n' "$(head -c 1000 .runs.json 2>/dev/null | one)"
piece() {
  stream=$1 wanted=$(($2 - 1))
  file='' next='' start=0
  for f in "$stream" "$stream"@*; do
    [ -f "$f" ] || continue
    n=${f#"$stream"}; n=${n#@}; n=${n#"${n%%[!0]*}"}
    case $n in *[!0-9]*) continue;; esac
    if [ "${n:-0}" -le "$wanted" ]; then file=$f start=${n:-0}
    elif [ -z "$next" ]; then next=$f after=$n; fi
  done
  from=$wanted size=0
  [ -z "$file" ] || size=$(stat -c %s -- "$file" 2>/dev/null) || size=0
  if [ -n "$next" ] && [ "$((start + size))" -le "$from" ]; then
    file=$next start=$after from=$after
  fi
  [ -n "$file" ] || return 0
  [ -z "$next" ] || printf 'more\tyes\n'
  printf '%s-gone\t%s\n' "$stream" "$((from - wanted))"
  from=$((from - start + 1))
  printf '%s\t%s\n' "$stream" "$(tail -c "+$from" -- "$file" 2>/dev/null | head -c @PIECE_BYTES@ | base64 -w 0)"
}
piece stdout "$out_from"
piece stderr "$err_from"
