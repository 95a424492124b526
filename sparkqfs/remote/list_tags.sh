# shellcheck shell=sh
# Sent by sparkqfs/jobs/cluster/clean.py, which says what its words are.
for link in */*/_manifests/tags/*/current/link; do
  [ -f "$link" ] || continue
  tag=${link%/current/link}
  name=${tag%%/_manifests/*}:${tag##*/}
  digest=$(head -c 200 "$link")
  case $digest in sha256:*[!0-9a-f]*) ok=no;; sha256:*) ok=yes;; *) ok=no;; esac
  digest=${digest#sha256:}
  if [ "$ok" = no ] || [ "${#digest}" != 64 ]; then
    printf 'other\t%s\n' "$name"
    continue
  fi
  printf 'tag\t%s\t%s\t%s\n' "$name" "$(stat -c %Y -- "$link")" "$digest"
  manifest=../blobs/sha256/$(printf %.2s "$digest")/$digest/data
  [ -f "$manifest" ] || continue
  for blob in "$digest" $(grep -o 'sha256:[0-9a-f]\{64\}' "$manifest" | cut -c 8- | sort -u); do
    size=$(stat -c %s -- "../blobs/sha256/$(printf %.2s "$blob")/$blob/data" 2>/dev/null) || continue
    printf 'blob\t%s\t%s\n' "$blob" "$size"
  done
done
