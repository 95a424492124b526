# shellcheck shell=sh
# Sent by sparkqfs/jobs/cluster/restore_look.py, which says what its words are. Only reads.
copies=$1 record=$2
tab=$(printf '\t')
moment="^[0-9]+[.][0-9]+${tab}[A-Za-z0-9._-]+${tab}[0-9]+\$"
for folder in "$copies"/[0-9][0-9][0-9][0-9][0-9][0-9]; do
  if [ -L "$folder" ] || [ ! -f "$folder/about.json" ]; then continue; fi
  last=
  # a power cut may have torn the last lines
  [ -f "$folder/times" ] && last=$(tail -n 50 "$folder/times" | LC_ALL=C grep -aE "$moment" | tail -n 1)
  printf 'history\t%s\t%s\t%s\n' "${folder##*/}" "$(head -c 4096 "$folder/about.json" | base64 | tr -d '\n')" "$last"
done
if [ -f "$record" ] && [ ! -L "$record" ]; then printf 'record\t%s\n' "$(head -c 65536 "$record" | base64 | tr -d '\n')"; fi
printf 'end%s\n' "$tab"
