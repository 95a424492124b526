# shellcheck shell=sh
# Sent by sparkqfs/jobs/cluster/recovery.py, which says what its words are.
set -eu
folder=$1 name=$2 most=$3
file=$folder/$name
for path in "$folder" "$file"; do
  [ ! -L "$path" ] || { echo "$path is a symbolic link; it is not followed" >&2; exit 1; }
done
if [ ! -e "$file" ]; then echo missing; exit 0; fi
[ -f "$file" ] || { echo "$file is not a file" >&2; exit 1; }
owner=$(stat -c %u "$file")
[ "$owner" = "$(id -u)" ] || { echo "$file belongs to user number $owner, expected: root" >&2; exit 1; }
echo file
head -c "$most" "$file" | base64
