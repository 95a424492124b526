# shellcheck shell=sh
# Sent by sparkqfs/jobs/cluster/swarm.py, which says what its words are.
set -eu
. ./to_disk.sh
name=$1 image=$2 digest=$3 port=$4 dir=$5 uid=$6 gid=$7; shift 7
IFS= read -r config; IFS= read -r htpasswd
mkdir -p "$dir/registry/storage"
chmod 0700 "$dir/registry"
umask 077
printf '%s' "$config" | base64 -d > "$dir/registry/config.yml"
printf '%s' "$htpasswd" | base64 -d > "$dir/registry/htpasswd"
for f in registry.key registry.crt; do [ ! -f "$dir/$f" ] || cp "$dir/$f" "$dir/registry/$f"; done
chown -R "$uid:$gid" "$dir/registry"
to_disk "$dir"/registry/* "$dir/registry" "$dir"
docker rm -f "$name" >/dev/null 2>&1 || true
docker run -d --name "$name" --restart always --user "$uid:$gid" --read-only --cap-drop ALL \
  --security-opt no-new-privileges --label "sparkqfs.config=$digest" "$@" \
  -p "$port:5000" -v "$dir/registry:/registry" \
  --entrypoint /usr/bin/docker-registry "$image" serve /registry/config.yml >/dev/null
