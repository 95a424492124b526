# shellcheck shell=sh
# Sent by sparkqfs/jobs/programs/submit.py, which says what its words are.
set -eu
. ./to_disk.sh
umask 027
mkdir -p @FOLDER@
mkdir "@FOLDER@/$1"
tar -x -f - -C "@FOLDER@/$1"
find "@FOLDER@/$1" -exec sync -- {} +
to_disk @FOLDER@ .
