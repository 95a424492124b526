# shellcheck shell=sh disable=SC1007,SC2010,SC2086,SC2209
# Sent by sparkqfs/gather/nodes.py, which says what its words are.
user=$1 group=$2 uid=$3 gid=$4 registry=$5 manager=$6 more=$7 top=$8 blocks=$9 block_files=${10} metadata=${11} counted=${12} name=${13}
shift 13
first=$1
tab=$(printf '\t')
say() { key=$1; shift; printf '%s' "$key"; for v in "$@"; do printf '\t%s' "$v"; done; printf '\n'; }
numbers() { awk 'NR == 2 {for (i = 2; i < NF; i++) if ($i $(i + 1) $(i + 2) ~ /^[0-9]+$/) {print $i, $(i + 2); exit}}'; }
share() { awk 'NR == 2 {for (i = 5; i <= NF; i++) if ($i ~ /^([0-9]+%|-)$/) {print $i; exit}}'; }
say clock "$(date +%s.%N)"
say hostname "$(uname -n)"
say arch "$(uname -m)"
say bits "$(getconf LONG_BIT)"
say boot "$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)"
if [ "$(uname -m)" = x86_64 ]; then
  able=" $(awk -F: '/^flags/ {print $2; exit}' /proc/cpuinfo) "
  for flag in ssse3 sse4_1 sse4_2 popcnt; do case "$able" in *" $flag "* | '  ') ;; *) say lacks_flag "$flag" ;; esac; done
fi
say cores "$(getconf _NPROCESSORS_ONLN)"
say memory_kib "$(awk '/^MemTotal:/ {print $2}' /proc/meminfo)"
if command -v docker >/dev/null 2>&1; then
  answer=$(timeout --foreground 20 docker info --format "{{.ServerVersion}}${tab}{{json .Swarm}}${tab}{{json .RegistryConfig}}${tab}{{json .DockerRootDir}}${tab}{{json .SecurityOptions}}${tab}{{.LiveRestoreEnabled}}${tab}{{.Driver}}${tab}{{.MemoryLimit}}${tab}{{.ID}}" 2>/dev/null)
  say engine "${answer%%"$tab"*}"
  case "$answer" in *"$tab"*)
    say swarm "${answer#*"$tab"}"
    root=$(printf '%s\n' "$answer" | cut -f4 | tr -d '"')
    if [ -n "$root" ] && [ -d "$root" ]; then say engine_disk "$(df -Pk "$root" | numbers | cut -d' ' -f2)"; fi
    say forwards "$(cat /proc/sys/net/ipv4/ip_forward 2>/dev/null)"
    timeout --foreground 20 docker ps --no-trunc --format "container${tab}{{.Names}}${tab}{{.Label \"com.docker.stack.namespace\"}}${tab}{{.Mounts}}" 2>/dev/null &&
      say containers listed;;
  *) case "$(timeout --foreground 20 docker --version 2>/dev/null)" in podman*) say podman yes;; esac;;
  esac
fi
if command -v dockerd >/dev/null 2>&1; then say dockerd yes; fi
say overcommit "$(cat /proc/sys/vm/overcommit_memory 2>/dev/null)"
if command -v modprobe >/dev/null 2>&1 && [ -d "/lib/modules/$(uname -r)" ]; then
  for module in overlay vxlan br_netfilter; do
    [ -d "/sys/module/$module" ] || modprobe -n -q "$module" 2>/dev/null || say lacks_module "$module"
  done
fi
say user_name "$(getent passwd "$user")"
say user_id "$(getent passwd "$uid")"
say group_name "$(getent group "$group")"
say group_id "$(getent group "$gid")"
path() {
  entry=$1
  if [ -L "$entry" ]; then kind=link
  elif [ -d "$entry" ]; then kind=directory
  elif [ -f "$entry" ]; then kind=file
  elif [ -e "$entry" ]; then kind=other
  else say path "$entry" missing "" "" "" yes; return; fi
  empty=yes
  if [ "$kind" = directory ] && [ -n "$(ls -A "$entry" 2>/dev/null | grep -vxF lost+found | head -n 1)" ]; then empty=no; fi
  rights=$(stat -c "%u${tab}%g${tab}%a" "$entry") || rights=$tab$tab
  say path "$entry" "$kind" "$rights" "$empty"
}
. ./records.sh
records_in /var/lib/sparkqfs "$name"
memory=/var/lib/sparkqfs; while [ ! -d "$memory" ]; do memory=${memory%/*}; done
[ -w "$memory" ] || say memory no
id_in() { file=$1; [ -f "$file" ] && [ ! -L "$file" ] && head -n 1 "$file" | tr -cd 'a-z0-9-'; }
metadata_in() {
  base=$1 n=0 l=0 latest=no when= fsid= kib=0 init= some=
  data=${base%/*}
  old=$IFS; IFS=:; for p in $metadata; do for f in "$base/$p"/*; do [ ! -e "$f" ] || some=yes; done; done; IFS=$old
  [ -n "$some" ] || return 0
@METADATA@
  { [ "$n" = 0 ] && [ "$latest" = no ]; } || [ "$init" = begun ] || say metadata_in "$data"
}
for d in "$@"; do
  path "$d"
  marker= has=no count=0 kib=0
  cluster=$(id_in "$d/${top:-spark}/.cluster-name")
  if [ -n "$top" ]; then
    path "$d/$top"; path "$d/$top/$blocks"; path "$d/$top/copies"
    marker=$(id_in "$d/$top/.cluster-id")
    record "$d/$top/.cluster.json"
    [ "$manager$d" = "yes$first" ] || (metadata_in "$d/$top")
    if [ -d "$d/$top/$blocks" ]; then
      set -f
      [ -z "$(find -H "$d/$top/$blocks" -type f $block_files -print -quit)" ] || has=yes
      if [ "$counted" = yes ]; then
        count=$(find -H "$d/$top/$blocks" -type f $block_files | wc -l)
        kib=$(du -skH "$d/$top/$blocks" | awk '{print $1}')
      fi
      set +f
    fi
  fi
  at=$d; while [ ! -d "$at" ]; do at=$(dirname "$at"); done
  set_df=$(df -Pk "$at" | numbers)
  writable=yes; [ -w "$at" ] || writable=no
  say disk_kind "$d" "$(stat -f -c %T "$at" 2>/dev/null)" "$writable" "$(df -Pi "$at" 2>/dev/null | share)"
  say disk "$d" "$marker" "$cluster" "${set_df% *}" "${set_df#* }" "$has" "$count" "$kib"
done
[ -z "$top" ] || path "$first/$top/logs"
path "$first/spark"
path "$first/sparkqfs"
copy=$first/sparkqfs/recovery.json
path "$copy"
if [ -f "$copy" ] && [ ! -L "$copy" ] && [ ! -L "$first/sparkqfs" ]; then
  words=$(head -c 262144 "$copy" | LC_ALL=C awk -F'"' -v OFS="$tab" '
    $1 == " " && !($2 in word) { value = $3 == ": " ? $4 : $3; gsub(/^: |[^0-9A-Za-z._:-]/, "", value); word[$2] = value }
    END { print word["cluster"], word["id"], word["storage"], word["written"], word["material"], word["state"], word["sum"] }')
  sum=$(head -c 262144 "$copy" | LC_ALL=C sed '/^ "sum": "/d' | sha256sum | cut -d' ' -f1)
  [ "${words##*"$tab"}" = "$sum" ] && whole=yes || whole=no
  say recovery "${words%"$tab"*}" "$whole"
fi
if [ "$manager" = yes ]; then
  records_in "$first/sparkqfs" "$name"
  old=$IFS; IFS=:; for p in $more; do IFS=$old; path "$p"; done; IFS=$old
  if [ -n "$top" ]; then
    base=$first/$top
    old=$IFS; IFS=:; for p in $metadata; do IFS=$old; path "$base/$p"; done; IFS=$old
    n=0 l=0 latest=no when= fsid= kib=0 init=
@METADATA@
    say meta "$n" "$l" "$latest" "$when" "$fsid" "$kib" "$init"
  fi
  [ -f "$first/sparkqfs/ca.crt" ] && while IFS= read -r line; do say ca "$line"; done < "$first/sparkqfs/ca.crt"
  [ ! -f "$first/sparkqfs/restore.json" ] || say restoring yes
  [ -f "$first/sparkqfs/secrets" ] && say secrets yes "$(grep -o '"[a-z_]*":' "$first/sparkqfs/secrets" | tr -d '":' | tr '\n' ' ')"
  [ -f "$first/sparkqfs/secrets" ] && say material "$(cd "$first/sparkqfs" &&
    sha256sum secrets ca.crt ca.key registry.crt registry.key 2>/dev/null | sha256sum | cut -d' ' -f1)"
fi
[ -f "/etc/docker/certs.d/$registry/ca.crt" ] && say trusted_ca "$(sha256sum "/etc/docker/certs.d/$registry/ca.crt" | cut -d' ' -f1)"
[ -f /etc/docker/daemon.json ] && say daemon_json "$(base64 /etc/docker/daemon.json | tr -d '\n')"
ip -o -4 route 2>/dev/null | awk '$1 ~ /\// {print "route\t" $1}'
ss -Hltn 2>/dev/null | awk '{n=split($4, a, ":"); print "port\t" a[n]}'
say clock_end "$(date +%s.%N)"
say end
