# shellcheck shell=sh
# Sent by sparkqfs/jobs/cluster/restore.py, which says what its words are.
# Docker 20 to 28: where the swarm's other machines are gone, `swarm leave` may end before its gossip has, which keeps
# its port (7946, 1F0A); the engine then joins another swarm, but never hears of anything there.
mode=$1
if [ "$mode" = leave ]; then docker swarm leave --force || exit 1; fi
gossips() { grep -qiE '^ *[0-9]+: [0-9A-F]+:1F0A [0-9A-F]+:0000 0A ' /proc/net/tcp /proc/net/tcp6 2>/dev/null; }
tries=0
while gossips && [ "$tries" -lt 20 ]; do tries=$((tries + 1)); sleep 0.5; done
gossips || exit 0
echo restarting >&2
if [ -d /run/systemd/system ] && systemctl -q is-active docker; then systemctl restart docker
elif [ -s /run/docker.pid ]; then kill "$(cat /run/docker.pid)"
else echo 'the engine keeps port 7946 after leaving its swarm: restart Docker Engine' >&2; exit 1; fi
tries=0
while gossips || ! docker version >/dev/null 2>&1; do
  tries=$((tries + 1))
  [ "$tries" -le 120 ] || { echo 'the engine does not answer after its restart' >&2; exit 1; }
  sleep 0.5
done
