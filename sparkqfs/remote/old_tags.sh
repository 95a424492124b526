# shellcheck shell=sh
# Sent by sparkqfs/jobs/cluster/old_images.py, which says what its words are.
days=$1; shift
for link in */*/_manifests/tags/*/current/link; do
  [ -f "$link" ] || continue
  tag=${link%/current/link}
  image=${tag%%/_manifests/*}:${tag##*/}
  digest=${tag%%/_manifests/*}@$(head -c 100 "$link")
  for kept in "$@"; do
    { [ "$kept" != "$image" ] && [ "$kept" != "$digest" ]; } || continue 2
  done
  [ -n "$(find "$link" -mmin "+$((days * 1440))")" ] || continue
  rm -rf -- "$tag" && printf '%s\n' "$image"
done
