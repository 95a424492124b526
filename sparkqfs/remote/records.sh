# shellcheck shell=sh
# Sent by sparkqfs/gather/records.py, which says what its words are; facts.sh has it too.
# `record FILE` prints a copy of a cluster's record: a small one whole, of a large one the first line and a sum of the
# rest. The rest, which most copies share, is printed once. The limits are those of sparkqfs/facts/record.py.
# `records_in FOLDER CLUSTER` prints all of that cluster there, and 64 of others: CLUSTER.KIND.json, and no other file.
record_sums=
record() {
  record_path=$1
  { [ -e "$record_path" ] || [ -L "$record_path" ]; } || return 0
  if [ -L "$record_path" ] || [ ! -f "$record_path" ]; then printf 'record\t%s\t\t\n' "$record_path"; return 0; fi
  record_size=$(wc -c < "$record_path")
  if [ "$record_size" -le 4096 ]; then
    printf 'record\t%s\t%s\twhole\n' "$record_path" "$(base64 < "$record_path" | tr -d '\n')"
    return 0
  fi
  record_head=$(head -c 4096 "$record_path" | head -n 1 | base64 | tr -d '\n')
  record_size=$(printf %s "$record_head" | base64 -d | wc -c)
  record_sum=$(tail -c +$((record_size + 1)) "$record_path" | head -c 1048577 | sha256sum | cut -c 1-64)
  printf 'record\t%s\t%s\t%s\n' "$record_path" "$record_head" "$record_sum"
  case "$record_sums" in *"$record_sum"*) return 0;; esac
  record_sums="$record_sums $record_sum"
  printf 'record_rest\t%s\t%s\n' "$record_sum" "$(tail -c +$((record_size + 1)) "$record_path" | head -c 1048577 | base64 | tr -d '\n')"
}
records_in() {
  record_folder=$1 record_own=$2
  for record_file in "$record_folder/$record_own".*.json; do record "$record_file"; done
  record_count=0
  for record_file in "$record_folder"/*.*.json; do
    case "$record_file" in "$record_folder/$record_own".*) continue;; esac
    [ "$record_count" -lt 64 ] || return 0
    record "$record_file"
    record_count=$((record_count + 1))
  done
}
