# shellcheck shell=sh
# Sent by sparkqfs/jobs/cluster/clean.py, which says what its words are.
code=0
for wanted in "$@"; do
  image=${wanted%@*} digest=${wanted##*@}
  tag=${image%:*}/_manifests/tags/${image##*:}
  [ -f "$tag/current/link" ] || continue
  [ "$(head -c 200 "$tag/current/link")" = "$digest" ] || continue
  if rm -rf -- "$tag"; then printf '%s\n' "$image"; else code=1; fi
done
exit "$code"
