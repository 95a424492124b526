# shellcheck shell=sh
# Sent by sparkqfs/jobs/cluster/old_images.py, which says what its words are.
name=$1 folder=$2 uid=$3 gid=$4 enter=$5 tags=$6; shift 6
mark=$folder/collect-garbage again=no
folder=$folder/registry/storage/docker/registry/v2/repositories
[ -d "$folder" ] || exit 0
[ ! -f "$mark" ] || again=yes
: > "$mark"
removed=$(sh -c "$enter" sh "$folder" "$uid" "$gid" "$tags" sh "$@")
[ -n "$removed" ] || [ "$again" = yes ] || { rm -f "$mark"; exit 0; }
[ -z "$removed" ] || printf '%s\n' "$removed"
docker exec "$name" docker-registry garbage-collect --delete-untagged /registry/config.yml >/dev/null 2>&1 &&
  rm -f "$mark"
docker restart "$name" >/dev/null
