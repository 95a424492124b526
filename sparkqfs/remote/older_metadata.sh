# shellcheck shell=sh
# Sent by sparkqfs/jobs/measuring/drill_faults.py, with keep|swap DIRECTORY ASIDE NAME…
# `keep` copies the metadata's directories; `swap` puts that copy in their place, and the newer ones beside it.
set -eu
what=$1 top=$2 aside=$3; shift 3
case $what in
  keep)
    mkdir -m 0700 "$aside"
    for name in "$@"; do cp -a "$top/$name" "$aside/$name"; done
    ;;
  swap)
    for name in "$@"; do
      mv -T "$top/$name" "$aside/$name.newer"
      mv -T "$aside/$name" "$top/$name"
    done
    ;;
esac
