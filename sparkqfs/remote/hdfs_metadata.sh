# shellcheck shell=sh disable=SC2034,SC2154
# Sent by sparkqfs/plan/storage/hdfs.py, which says what its words are.
cp=$base/name/current image=fsimage_@ZERO@
if [ -d "$cp" ]; then
  n=$(find "$cp" -name 'fsimage*' ! -name '*.md5' -type f | wc -l)
  l=$(find "$cp" -name 'edits_*' -type f | wc -l)
  [ -e "$cp/VERSION" ] && latest=yes
  newest=$(find "$cp" -type f ! -name VERSION -printf '%T@ %p\n' | sort -n | tail -n 1)
  [ -z "$newest" ] || when=$(date -u -d "@${newest%% *}" '+%Y-%m-%d %H:%M UTC')
  fsid=$(sed -n 's/^blockpoolID=//p' "$cp/VERSION" 2>/dev/null | head -n 1)
  kib=$(du -sk "$cp" | awk '{print $1}')
fi
if [ -d "$base/name" ] && [ -n "$(find "$base/name" -mindepth 1 ! -name lost+found -print -quit)" ]; then
  odd=$(find "$base/name" -mindepth 1 ! \( @INIT_FILES@ \) \
    ! \( -type d \( -name current -o -name lost+found \) \) -print -quit)
  case "$(head -c 20 "$cp/seen_txid" 2>/dev/null | tr -d '\0')" in ''|0) ;; *) odd=seen_txid;; esac
  if [ -n "$odd" ]; then init=
  elif [ -s "$cp/VERSION" ] && [ -s "$cp/seen_txid" ] && [ -s "$cp/$image.md5" ] &&
    (cd "$cp" && md5sum --status -c "$image.md5") 2>/dev/null; then init=unused
  else init=begun; fi
fi
