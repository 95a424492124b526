# shellcheck shell=sh
# Sent by sparkqfs/jobs/programs/server.py, to the server's container: asks for its JDBC server, and prints what is said of
# it; exit code 124 when nothing is said in time. Its words: seconds at most, and the run directory.
seconds=$1 folder=$2
end=$(($(date +%s) + seconds))
: >> "$folder/jdbc.wanted"
until [ -e "$folder/jdbc" ]; do
    [ "$(date +%s)" -lt "$end" ] || exit 124
    sleep 0.2
done
exec cat "$folder/jdbc"
