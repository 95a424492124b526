# shellcheck shell=sh
# Sent by sparkqfs/jobs/cluster/old_images.py, which says what its words are.
name=$1 folder=$2 uid=$3 gid=$4 enter=$5 tags=$6; shift 6
mark=$folder/collect-garbage collecting=$folder/garbage-is-collected again=no
folder=$folder/registry/storage/docker/registry/v2/repositories
[ -d "$folder" ] || exit 0
[ ! -f "$mark" ] || again=yes
: > "$mark" || exit
removed=$(sh -c "$enter" sh "$folder" "$uid" "$gid" "$tags" sh "$@")
code=$?
[ -z "$removed" ] || printf '%s\n' "$removed"
[ -n "$removed" ] || [ "$again" = yes ] || { rm -f "$mark"; exit "$code"; }
# a collection goes on in the container when this script ends: only the restart ends it
end() { trap '' HUP INT TERM; docker restart "$name" >/dev/null && rm -f "$collecting"; }
trap end EXIT
trap 'exit 1' HUP INT TERM
: > "$collecting" || exit
said=$(docker exec "$name" docker-registry garbage-collect --delete-untagged /registry/config.yml 2>&1 >/dev/null)
collected=$?
[ "$collected" != 0 ] || rm -f "$mark"
[ "$collected" = 0 ] || printf '%s\n' "$said" | tail -n 5 >&2
[ "$code" != 0 ] || code=$collected
trap - EXIT
end || [ "$code" != 0 ] || code=1
exit "$code"
