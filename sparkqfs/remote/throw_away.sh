# shellcheck shell=sh
# Sent by sparkqfs/jobs/storage/backup_streams.py, which says what its words are.
cluster=$1 image=$2 user=$3 seconds=$4 memory=$5 source=$6 target=$7 names=$8; shift 8
docker image inspect "$image" >/dev/null 2>&1 ||
  image=$(docker image ls --filter "label=sparkqfs.cluster=$cluster" --format '{{.ID}} {{.Repository}}' |
    sed -n 's|^\([^ ]*\) .*/worker-node$|\1|p' | head -n 1)
if [ -z "$image" ]; then echo "there is no image of cluster $cluster on this machine" >&2; exit 69; fi
set -- --entrypoint timeout "$image" -k 5 "$seconds" "$@"
if [ -n "$names" ] && [ -d "$names" ]; then set -- -v "$names:/data/metastore:ro" -e SPARKQFS_CATALOGUE=/data/metastore "$@"; fi
if [ -n "$source" ]; then
  if [ ! -d "$source" ]; then echo "there is no directory $source on this machine" >&2; exit 69; fi
  set -- -v "$source:$target:ro" "$@"
fi
exec docker run --rm -i --label "sparkqfs.backup=$cluster" --log-driver none --network none --hostname localhost \
  --cap-drop ALL --security-opt no-new-privileges --pids-limit 512 \
  --memory "${memory}m" --memory-swap "${memory}m" --user "$user" "$@"
