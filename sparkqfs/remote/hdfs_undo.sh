# shellcheck shell=sh disable=SC2154
# Sent by sparkqfs/plan/storage/hdfs.py, which says what its words are.
if [ -d "$base/name" ]; then
  find "$base/name" -xdev -mindepth 1 -maxdepth 2 @INIT_FILES@ -delete
  [ ! -d "$base/name/current" ] || rmdir "$base/name/current"
fi
