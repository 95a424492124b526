# shellcheck shell=sh disable=SC2086
# Sent by sparkqfs/jobs/storage/file_system.py, which says what its words are.
cluster=$1
ids=$(docker ps -q --filter "label=sparkqfs.init=$cluster")
[ -z "$ids" ] || timeout --foreground 120 docker wait $ids >/dev/null
