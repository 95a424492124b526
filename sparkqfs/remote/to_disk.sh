# shellcheck shell=sh
# Sent by sparkqfs/plan/steps.py, which says what its words are.
to_disk() {
  for to_disk_path in "$@"; do
    to_disk_said=$(LC_ALL=C sync -- "$to_disk_path" 2>&1) || case $to_disk_said in
      *"Invalid argument"* | *"not supported"* | *"Read-only file system"*) ;;
      *) printf '%s\n' "$to_disk_said" >&2; return 1;;
    esac
  done
}
