# shellcheck shell=sh
# Sent by sparkqfs/jobs/cluster/deploy.py, which says what its words are.
set -eu
stack=$1
DOCKER_CONFIG=$(mktemp -d /run/sparkqfs-deploy.XXXXXX); export DOCKER_CONFIG
trap 'rm -rf "$DOCKER_CONFIG"' EXIT INT TERM
(umask 077; IFS= read -r login; printf '%s' "$login" > "$DOCKER_CONFIG/config.json")
docker stack deploy --compose-file - --prune --with-registry-auth "$stack"
