# shellcheck shell=sh
# Sent by sparkqfs/jobs/programs/compute.py, which says what its words are. Runs in jupyter-server.
set -eu
name=$1
umask 077
folder=$(mktemp -d /tmp/notebook-sent.XXXXXX)
cat > "$folder/$name"
printf '%s\n' "$folder"
