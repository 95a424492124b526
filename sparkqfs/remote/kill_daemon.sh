# shellcheck shell=sh
# Sent by sparkqfs/jobs/measuring/drill_faults.py, with CONTAINER WORD. Kills the processes whose command line has the word.
set -eu
container=$1 word=$2
pids=$(docker top "$container" -eo pid,args | awk -v word="$word" 'NR > 1 && index($0, word) { print $1 }')
[ -n "$pids" ] || { echo "no process of $container has $word in its command line" >&2; exit 1; }
# shellcheck disable=SC2086 # numbers
kill -9 $pids
