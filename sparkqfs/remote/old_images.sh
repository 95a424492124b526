# shellcheck shell=sh disable=SC2015
# Sent by sparkqfs/jobs/cluster/old_images.py, which says what its words are.
label=$1 days=$2 here=$3 own=$4; shift 4
are_ours() {
  are_ours_any=1
  while read -r name; do
    case $name in '') ;; "$here"* | "$own"*) are_ours_any=0;; *) return 1;; esac
  done
  return "$are_ours_any"
}
limit=$(($(date +%s) - days * 86400))
for id in $(docker image ls -q --no-trunc --filter "label=$label" | sort -u); do
  names=$(docker image inspect -f '{{range .RepoTags}}{{println .}}{{end}}{{range .RepoDigests}}{{println .}}{{end}}' \
    "$id") || continue
  printf '%s\n' "$names" | are_ours || continue
  for kept in "$@"; do
    printf '%s\n' "$names" | grep -qxF -- "$kept" && continue 2
  done
  made=$(docker image inspect -f '{{.Created}}' "$id") && made=$(date -d "$made" +%s) || continue
  [ "$made" -lt "$limit" ] || continue
  docker image rm "$id" >/dev/null 2>&1 && printf '%s\n' "$names" | grep . | head -n 1
done
exit 0
