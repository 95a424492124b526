# shellcheck shell=sh
# Sent by sparkqfs/jobs/audit.py, which says what its words are.
set -eu
folder=$1 cluster=$2 limit=$3 line=$4
umask 022
mkdir -p -- "${folder%/*}"
umask 077
mkdir -p -- "$folder"
file=$folder/$cluster.log
exec 9>>"$folder/$cluster.lock"
flock -w 2 9 || { echo "$folder/$cluster.lock is held" >&2; exit 1; }
size=$(stat -L -c %s -- "$file" 2>/dev/null) || size=0
[ "$size" -lt "$limit" ] || mv -f -- "$file" "$file.1"
# what a full disk has cut off stays a line of its own
start=
[ ! -f "$file" ] || [ -z "$(tail -c 1 -- "$file" 2>/dev/null)" ] || start=x
printf '%s%s\t%s\n' "${start:+
}" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$line" >> "$file"
