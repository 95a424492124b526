# shellcheck shell=sh disable=SC2154
# Sent by sparkqfs/plan/storage/qfs.py, which says what its words are.
for d in "$base/checkpoint" "$base/logs"; do
  [ ! -d "$d" ] || find "$d" -xdev -mindepth 1 -maxdepth 1 @INIT_FILES@ -delete
done
