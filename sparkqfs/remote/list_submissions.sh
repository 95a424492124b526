# shellcheck shell=sh
# Sent by sparkqfs/jobs/programs/apps.py, which says what its words are.
for d in @FOLDER@/submit-*/; do
  [ -f "$d/app.json" ] || continue
  printf '%s\t%s\t%s\t%s\t%s\t%s\t' "$(basename "$d")" "$(head -c 40 "$d/exit" 2>/dev/null | head -n 1)" \
    "$(stat -c %Y "$d/exit" 2>/dev/null)" "$(grep -s 'app ID app-' "$d/spark.log" | tail -n 1)" \
    "$([ ! -f "$d/executors.log" ] || grep -c 'Granted executor ID' "$d/executors.log")" \
    "$(head -c 1000 "$d/runs.json" 2>/dev/null | head -n 1)"
  head -n 1 "$d/app.json"; echo
done
