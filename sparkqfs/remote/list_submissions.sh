# shellcheck shell=sh
# Sent by sparkqfs/jobs/programs/apps.py, which says what its words are.
one() { LC_ALL=C tr -cd '\040-\176'; }
for d in @FOLDER@/submit-*/; do
  [ -f "$d/app.json" ] || continue
  runs=''
  ! head -c @KNOWN_BYTES@ "$d/app.json" | grep -q '"restart": true' ||
    runs=$(head -c 1000 "$d/.runs.json" 2>/dev/null | head -n 1 | one)
  printf '%s\t%s\t%s\t%s\t%s\t%s\t' "$(basename "$d")" "$(head -c 40 "$d/exit" 2>/dev/null | head -n 1 | one)" \
    "$(stat -c %Y "$d/exit" 2>/dev/null)" "$(grep -s 'app ID app-' "$d/spark.log" | tail -n 1 | head -c 1000 | one)" \
    "$([ ! -f "$d/executors.log" ] || grep -c 'Granted executor ID' "$d/executors.log")" "$runs"
  head -c @KNOWN_BYTES@ "$d/app.json" | head -n 1; echo
done
