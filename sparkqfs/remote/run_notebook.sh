# shellcheck shell=sh
# Sent by sparkqfs/jobs/programs/compute.py, which says what its words are.
set -eu
folder=$1 name=$2; shift 2
if [ ! -f "$folder/$name.ipynb" ]; then
  printf 'absent\n'
  for f in "$folder"/*.ipynb; do [ ! -f "$f" ] || printf 'known\t%s\n' "$(basename "$f" .ipynb)"; done
  exit 1
fi
work=$(mktemp -d /tmp/notebook.XXXXXX)
trap 'rm -rf "$work"' EXIT
trap 'exit 143' INT TERM
cd "$work"
rc=0
/opt/venv/bin/papermill --no-progress-bar --log-output --cwd "$work" "$@" "$folder/$name.ipynb" "$work/$name.ipynb" >&2 || rc=$?
/opt/venv/bin/jupyter nbconvert --log-level WARN --to html "$work/$name.ipynb" >&2 || true
for f in "$name.ipynb" "$name.html"; do
  [ ! -f "$work/$f" ] || { printf 'file\t%s\t' "$f"; base64 -w 0 "$work/$f"; printf '\n'; }
done
exit $rc
