# shellcheck shell=sh
# Sent by sparkqfs/plan/steps.py, which says what its words are.
set -eu
. ./to_disk.sh
no_link() { no_link_path=$1; if [ -L "$no_link_path" ]; then echo "$no_link_path is a symbolic link; it is not followed" >&2; exit 1; fi; }
step() { step_number=$1; printf 'done\t%s\n' "$step_number"; }
