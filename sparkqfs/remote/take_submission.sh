# shellcheck shell=sh
# Sent by sparkqfs/jobs/programs/submit.py, which says what its words are.
set -eu
. ./to_disk.sh
submission=$1
umask 027
mkdir -p @FOLDER@
mkdir "@FOLDER@/$submission"
tar -x -f - -C "@FOLDER@/$submission"
find "@FOLDER@/$submission" -exec sync -- {} +
to_disk @FOLDER@ .
