# shellcheck shell=sh
# Sent by sparkqfs/jobs/programs/drivers.py, which says what its words are.
for submission in "$@"; do
  [ ! -d "@FOLDER@/$submission" ] || : > "@FOLDER@/$submission/.ending"
done
