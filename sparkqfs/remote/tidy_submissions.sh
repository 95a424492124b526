# shellcheck shell=sh disable=SC2012
# Sent by sparkqfs/jobs/programs/drivers.py, which says what its words are.
. ./to_disk.sh
for old in @FOLDER@/submit-*; do
  case " $* " in *" ${old##*/} "*) continue;; esac
  if [ -d "$old" ] && [ ! -f "$old/exit" ] && [ -n "$(find "$old" -maxdepth 0 -mmin +60)" ]; then
    last=$(ls -td -- "$old" "$old"/stdout* "$old"/stderr* 2>/dev/null | head -n 1)
    last=$(stat -c %Y "$last")
    printf '1 lost\n' > "$old/.exit" && touch -d "@$last" "$old/.exit" && to_disk "$old/.exit" &&
      mv -f "$old/.exit" "$old/exit" && to_disk "$old"
  fi
  [ ! -f "$old/exit" ] || [ -z "$(find "$old/exit" -mmin "+$((${days:-7} * 1440))")" ] || rm -rf -- "$old"
done
