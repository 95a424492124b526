"""Asks the machines and turns their answers into facts: one read-only script a node, all at once."""

from __future__ import annotations

import dataclasses
import time

from sparkqfs.clients.connect import Clients
from sparkqfs.clients.parallel import Results
from sparkqfs.config import ClusterConfig
from sparkqfs.errors import ClusterError, Problem
from sparkqfs.facts import NodeFacts, SwarmNode, TaskFact, parse_node, parse_swarm_nodes, parse_tasks

FACTS_SCRIPT = r"""
user=$1 group=$2 uid=$3 gid=$4 registry=$5 manager=$6 more=$7
shift 7
tab=$(printf '\t')
say() { printf '%s' "$1"; shift; for v in "$@"; do printf '\t%s' "$v"; done; printf '\n'; }
say clock "$(date +%s.%N)"
say hostname "$(uname -n)"
say arch "$(uname -m)"
say cores "$(getconf _NPROCESSORS_ONLN)"
say memory_kib "$(awk '/^MemTotal:/ {print $2}' /proc/meminfo)"
if command -v docker >/dev/null 2>&1; then
  answer=$(timeout --foreground 20 docker info --format "{{.ServerVersion}}${tab}{{json .Swarm}}${tab}{{json .RegistryConfig}}" 2>/dev/null)
  say engine "${answer%%"$tab"*}"
  case "$answer" in *"$tab"*) say swarm "${answer#*"$tab"}";; esac
fi
say user_name "$(getent passwd "$user")"
say user_id "$(getent passwd "$uid")"
say group_name "$(getent group "$group")"
say group_id "$(getent group "$gid")"
path() {
  if [ -L "$1" ]; then kind=link
  elif [ -d "$1" ]; then kind=directory
  elif [ -f "$1" ]; then kind=file
  elif [ -e "$1" ]; then kind=other
  else say path "$1" missing "" "" "" yes; return; fi
  empty=yes
  if [ "$kind" = directory ] && [ -n "$(ls -A "$1" 2>/dev/null | head -n 1)" ]; then empty=no; fi
  set -- "$1" $(stat -c '%u %g %a' "$1")
  say path "$1" "$kind" "$2" "$3" "$4" "$empty"
}
first=$1
for d in "$@"; do
  path "$d"; path "$d/qfs"; path "$d/qfs/chunk"
  marker=
  [ -f "$d/qfs/.cluster-id" ] && [ ! -L "$d/qfs/.cluster-id" ] && marker=$(head -n 1 "$d/qfs/.cluster-id" | tr -cd 'a-z0-9-')
  at=$d; while [ ! -d "$at" ]; do at=$(dirname "$at"); done
  set_df=$(df -Pk "$at" | awk 'NR==2 {print $2, $4}')
  chunks=0 chunk_kib=0
  if [ -d "$d/qfs/chunk" ]; then
    chunks=$(find -H "$d/qfs/chunk" -type f ! -name '0-fsid-*' | wc -l)
    chunk_kib=$(du -skH "$d/qfs/chunk" | awk '{print $1}')
  fi
  say disk "$d" "$marker" "${set_df% *}" "${set_df#* }" "$chunks" "$chunk_kib"
done
path "$first/qfs/logs"; path "$first/spark"
if [ "$manager" = yes ]; then
  path "$first/qfs/checkpoint"; path "$first/sparkqfs"
  old=$IFS; IFS=:; for p in $more; do IFS=$old; path "$p"; done; IFS=$old
  cp=$first/qfs/checkpoint lg=$first/qfs/logs
  n=0 l=0 latest=no when= fsid= kib=0
  if [ -d "$cp" ]; then
    n=$(find "$cp" -name 'chkpt*' -type f | wc -l)
    { [ -e "$cp/latest" ] || [ -L "$cp/latest" ]; } && latest=yes
    newest=$(find "$cp" -type f -name 'chkpt*' -printf '%T@ %p\n' | sort -n | tail -n 1)
    if [ -n "$newest" ]; then
      when=$(date -u -d "@${newest%% *}" '+%Y-%m-%d %H:%M UTC')
      fsid=$(head -n 40 "${newest#* }" | tr '\r' '\n' | sed -n 's/^filesysteminfo\/fsid\/\([^/]*\).*/\1/p;s/^fsinfo\/fsid\/\([^/]*\).*/\1/p' | head -n 1)
    fi
    kib=$(du -sk "$cp" | awk '{print $1}')
  fi
  [ -d "$lg" ] && l=$(find "$lg" -name 'log.*' -type f | wc -l)
  say meta "$n" "$l" "$latest" "$when" "$fsid" "$kib"
  [ -f "$first/sparkqfs/ca.crt" ] && while IFS= read -r line; do say ca "$line"; done < "$first/sparkqfs/ca.crt"
  [ -f "$first/sparkqfs/secrets" ] && say secrets yes
fi
[ -f "/etc/docker/certs.d/$registry/ca.crt" ] && say trusted_ca "$(sha256sum "/etc/docker/certs.d/$registry/ca.crt" | cut -d' ' -f1)"
[ -f /etc/docker/daemon.json ] && say daemon_json "$(base64 /etc/docker/daemon.json | tr -d '\n')"
ip -o -4 route 2>/dev/null | awk '$1 ~ /\// {print "route\t" $1}'
ss -Hltn 2>/dev/null | awk '{n=split($4, a, ":"); print "port\t" a[n]}'
say end
"""


def gather_nodes(config: ClusterConfig, clients: Clients, names: tuple[str, ...] | None = None) -> Results[NodeFacts]:
    """Facts of each node, one exchange a node, in parallel; a node that cannot be asked is among the failures."""
    wanted = names if names is not None else tuple(node.name for node in config.nodes)
    return clients.on(wanted, lambda name: _gather_node(config, clients, name))


def _gather_node(config: ClusterConfig, clients: Clients, name: str) -> NodeFacts:
    node = config.node(name)
    owner = config.owner
    client = clients.node(name)
    client.open()
    asked = time.time()
    output = client.script(
        FACTS_SCRIPT,
        owner.user,
        owner.group,
        str(owner.uid),
        str(owner.gid),
        config.registry_address,
        "yes" if node.manager else "no",
        ":".join(map(str, filter(None, (config.notebooks_path, config.shared_directory)))) if node.manager else "",
        *map(str, node.data_dirs),
    )
    try:
        facts = parse_node(name, output.stdout)
    except (ValueError, IndexError) as error:
        what = f"cannot read the machine's answer: {error}; it said: {output.last_lines(3)}"
        raise ClusterError(Problem(node=name, what=what)) from error
    return dataclasses.replace(facts, clock_skew_s=facts.clock_s - asked)


def gather_swarm_nodes(clients: Clients) -> tuple[SwarmNode, ...]:
    """The swarm's nodes, as the manager sees them."""
    return parse_swarm_nodes(clients.engine().nodes())


def gather_tasks(config: ClusterConfig, clients: Clients) -> tuple[TaskFact, ...]:
    """The stack's tasks with service and node names of ours."""
    engine = clients.engine()
    services = {
        item["ID"]: item["Spec"]["Name"].removeprefix(f"{config.name}_") for item in engine.services(config.name)
    }
    nodes = {node.id: node.labels.get("sparkqfs.node", node.hostname) for node in parse_swarm_nodes(engine.nodes())}
    return parse_tasks(engine.tasks(config.name), services, nodes)
