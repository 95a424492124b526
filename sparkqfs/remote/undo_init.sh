# shellcheck shell=sh disable=SC1007,SC2034
# Sent by sparkqfs/jobs/storage/file_system.py, which says what its words are.
set -eu
base=$1 n=0 l=0 latest=no when= fsid= kib=0 init=
look() {
@METADATA@
}
look
[ "$init" = begun ] || { echo "$base holds more than what an init has left; nothing was removed" >&2; exit 1; }
@UNDO@
sync -f "$base"
