# shellcheck shell=sh disable=SC2154,SC2170
# Sent by sparkqfs/plan/cluster/trust.py, which says what its words are.
insecure_loaded() { docker info --format '{{json .RegistryConfig}}' 2>/dev/null | grep -qF "\"$registry\""; }
reload_engine() {
  if [ -d /run/systemd/system ] && systemctl -q is-active docker; then systemctl reload docker
  elif [ -s /run/docker.pid ]; then kill -HUP "$(cat /run/docker.pid)"
  else kill -HUP "$(pidof dockerd)"; fi
  tries=0
  while ! insecure_loaded; do
    tries=$((tries + 1))
    [ "$tries" -le %d ] || return 1
    sleep 1
  done
}
