# shellcheck shell=sh
# Sent by sparkqfs/jobs/watching/history.py, which says what its words are.
folder=$1 cluster=$2
file=$folder/$cluster.log
if [ -e "$folder/$cluster.lock" ]; then
  exec 9<"$folder/$cluster.lock"
  flock -s -w 2 9
fi
for part in "$file.1" "$file"; do
  [ ! -e "$part" ] || cat -- "$part" || exit 1
done
