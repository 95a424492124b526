# shellcheck shell=sh
# Sent by sparkqfs/jobs/storage/aside.py, which says what its words are. Only reads.
set -eu
top=$1; shift
for d in "$@"; do
  for kept in "$d/$top/kept"/*Z; do
    if [ -d "$kept" ] && [ ! -L "$kept" ]; then printf '%s\n' "${kept##*/}"; fi
  done
done
