# shellcheck shell=sh
# Sent by sparkqfs/jobs/storage/file_system.py, which says what its words are.
set -eu
image=$1 source=$2 target=$3 uid=$4 gid=$5 id=$6 storage=$7 root=$8
dir=$(mktemp -d /run/sparkqfs-init.XXXXXX)
trap 'rm -rf "$dir"' EXIT INT TERM
mkdir "$dir/configs" "$dir/secrets"
while read -r kind name content; do printf '%s' "$content" | base64 -d > "$dir/$kind/$name"; done
chown -R "$uid:$gid" "$dir"; chmod -R u=rwX,go= "$dir"
docker run --rm --label "sparkqfs.init=$id" --log-driver none --network none \
  --cap-drop ALL --security-opt no-new-privileges \
  --tmpfs /run/sparkqfs:mode=1777 \
  -e SPARKQFS_STORAGE="$storage" -e SPARKQFS_ROOT="$root" -e SPARKQFS_CLUSTER_ID="$id" \
  -v "$source:$target" -v "$dir/configs:/etc/sparkqfs:ro" -v "$dir/secrets:/run/secrets:ro" \
  --entrypoint /opt/sparkqfs/bin/supervise "$image" init-storage </dev/null
sync -f "$source"
