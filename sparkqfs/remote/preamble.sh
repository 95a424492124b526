# shellcheck shell=sh
# Sent by sparkqfs/plan/steps.py, which says what its words are.
set -eu
. ./to_disk.sh
no_link() { if [ -L "$1" ]; then echo "$1 is a symbolic link; it is not followed" >&2; exit 1; fi; }
step() { printf 'done\t%s\n' "$1"; }
