# shellcheck shell=sh disable=SC2034,SC2154
# Sent by sparkqfs/plan/storage/qfs.py, which says what its words are.
cp=$base/checkpoint lg=$base/logs odd=
if [ -d "$cp" ]; then
  n=$(find "$cp" -name 'chkpt*' ! -name '*.tmp' -type f | wc -l)
  { [ -e "$cp/latest" ] || [ -L "$cp/latest" ]; } && latest=yes
  newest=$(find "$cp" -type f -name 'chkpt*' ! -name '*.tmp' -printf '%T@ %p\n' | sort -n | tail -n 1)
  if [ -n "$newest" ]; then
    when=$(date -u -d "@${newest%% *}" '+%Y-%m-%d %H:%M UTC')
    fsid=$(head -n 40 "${newest#* }" | tr '\r' '\n' | sed -n 's/^\(filesysteminfo\|fsinfo\)\/fsid\/\([^/]*\).*/\2/p')
    fsid=$(printf '%s\n' "$fsid" | head -n 1)
  fi
  kib=$(du -sk "$cp" | awk '{print $1}')
fi
[ -d "$lg" ] && l=$(find "$lg" -name 'log.*' -type f | wc -l)
for d in "$cp" "$lg"; do
  [ -d "$d" ] || continue
  [ -z "$(find "$d" -mindepth 1 ! -name lost+found -print -quit)" ] || init=begun
  odd=$odd$(find "$d" -mindepth 1 ! \( @INIT_FILES@ \) ! \( -type f -name latest \) \
    ! \( -type d -name lost+found \) -print -quit)
done
if [ -n "$odd" ]; then init=
elif [ "$latest" = yes ]; then
  if cmp -s "$cp/latest" "$cp/chkpt.0.0.0" && [ -s "$lg/log.0.0.0.0" ]; then init=unused; else init=; fi
fi
