# shellcheck shell=sh
# Sent by sparkqfs/gather/records.py, which says what its words are; facts.sh has it too.
# `record FILE` prints a copy of a cluster's record: a small one whole, of a large one the first line and a sum of the
# rest. The rest, which most copies share, is printed once. The limits are those of sparkqfs/facts/record.py.
record_sums=
record() {
  { [ -e "$1" ] || [ -L "$1" ]; } || return 0
  if [ -L "$1" ] || [ ! -f "$1" ]; then printf 'record\t%s\t\t\n' "$1"; return 0; fi
  record_size=$(wc -c < "$1")
  if [ "$record_size" -le 4096 ]; then
    printf 'record\t%s\t%s\twhole\n' "$1" "$(base64 < "$1" | tr -d '\n')"
    return 0
  fi
  record_head=$(head -c 4096 "$1" | head -n 1 | base64 | tr -d '\n')
  record_size=$(printf %s "$record_head" | base64 -d | wc -c)
  record_sum=$(tail -c +$((record_size + 1)) "$1" | head -c 1048577 | sha256sum | cut -c 1-64)
  printf 'record\t%s\t%s\t%s\n' "$1" "$record_head" "$record_sum"
  case "$record_sums" in *"$record_sum"*) return 0;; esac
  record_sums="$record_sums $record_sum"
  printf 'record_rest\t%s\t%s\n' "$record_sum" "$(tail -c +$((record_size + 1)) "$1" | head -c 1048577 | base64 | tr -d '\n')"
}
records_in() {
  record_count=0
  for record_file in "$1"/*.json; do
    [ "$record_count" -lt 64 ] || return 0
    record "$record_file"
    record_count=$((record_count + 1))
  done
}
