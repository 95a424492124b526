# shellcheck shell=sh
# Sent by sparkqfs/jobs/measuring/drill_faults.py, with SECONDS COUNT FIND-WORDS DIRECTORY…
# Flips one bit in each of up to COUNT block files that were last written in the last SECONDS, though not just now.
set -euf
seconds=$1 count=$2 words=$3; shift 3
number() { od -An -N4 -tu4 /dev/urandom | tr -d ' '; }
# shellcheck disable=SC2086 # find's words
find "$@" -type f $words -size +8k -newermt "$seconds seconds ago" ! -newermt '3 seconds ago' | head -n "$count" |
  while IFS= read -r file; do
    at=$(($(number) % $(stat -c %s "$file"))) bit=$(($(number) % 8))
    old=$(od -An -tu1 -j "$at" -N1 "$file" | tr -d ' ')
    # shellcheck disable=SC2059 # the format is the byte
    printf "\\$(printf %03o $((old ^ (1 << bit))))" | dd of="$file" bs=1 seek="$at" conv=notrunc status=none
    printf 'flipped\t%s\n' "$file"
  done
