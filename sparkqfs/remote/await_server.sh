# shellcheck shell=sh
# Sent by sparkqfs/jobs/programs/server.py, to the server's container: what the server says of itself once it takes
# connections; exit code 124 when it does not in time. Its words: seconds at most, and the file.
seconds=$1 file=$2
end=$(($(date +%s) + seconds))
until [ -e "$file" ]; do
    [ "$(date +%s)" -lt "$end" ] || exit 124
    sleep 0.2
done
exec cat "$file"
