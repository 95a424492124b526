# shellcheck shell=sh
# Sent by sparkqfs/gather/hosts.py, which says what its words are.
address=$1 manager=$2
say() { key=$1; shift; printf '%s' "$key"; for v in "$@"; do printf '\t%s' "$v"; done; printf '\n'; }
has() { program=$1; command -v "$program" >/dev/null 2>&1; }
ask() { timeout --foreground 10 "$@" 2>/dev/null; }
if has timedatectl; then say ntp "$(ask timedatectl show -p NTPSynchronized --value)"; fi
state=
if has systemctl; then state=$(ask systemctl is-system-running); fi
case "$state" in
  '' | offline | unknown) : ;;
  *)
    say boot "$(ask systemctl is-enabled docker.service)"
    say desktop "$(ask systemctl is-active display-manager.service)" "$(ask systemctl is-enabled sleep.target)"
    ;;
esac
number_of() { name=$1; ask getent ahostsv4 "$name" | awk 'NR == 1 {print $1}'; }
if has getent; then
  case "$address" in *[!0-9.]*) address=$(number_of "$address"); say address "$address" ;; esac
  case "$manager" in *[!0-9.]*) say manager "$(number_of "$manager")" ;; esac
fi
line=
if [ -n "$address" ]; then line=$(ask ip -o -4 addr show to "$address"); fi
case "$line" in
  *" dynamic "*forever*forever*) : ;;
  *" dynamic "*) say dhcp yes ;;
esac
card=$(printf '%s\n' "$line" | awk 'NR == 1 {print $2}')
if [ -n "$card" ] && [ -r "/sys/class/net/${card%@*}/mtu" ]; then say mtu "$(cat "/sys/class/net/${card%@*}/mtu")"; fi
zone_rules() {
  all=$1
  awk -v all="$all" '
    $1 == "target:" { target = $2 }
    $1 == "sources:" { for (i = 2; i <= NF; i++) from[++n] = $i }
    $1 == "services:" { for (i = 2; i <= NF; i++) if ($i == "docker-swarm") to[++m] = "2377,7946,4789" }
    $1 == "ports:" { for (i = 2; i <= NF; i++) { gsub("-", ":", $i); to[++m] = $i } }
    $1 == "rule" && / accept/ && !/ (port|service|protocol) / && match($0, /source address="[^"]*"/) {
      print "allowed\tAnywhere ALLOW " substr($0, RSTART + 16, RLENGTH - 17)
    }
    END {
      if (all == "yes") { n = 2; from[1] = "Anywhere"; from[2] = "Anywhere (v6)" }
      if (target == "ACCEPT") to[++m] = "Anywhere"
      for (i = 1; i <= n; i++) for (k = 1; k <= m; k++) print "allowed\t" to[k] " ALLOW " from[i]
    }'
}
if has ufw && rules=$(ask ufw status verbose) && [ "${rules#*Status: active}" != "$rules" ]; then
  say firewall ufw
  printf '%s\n' "$rules" | awk '/^Default: allow \(incoming\)/ {print "allowed\tAnywhere ALLOW Anywhere"} / ALLOW / {print "allowed\t" $0}'
elif has firewall-cmd && [ "$(ask firewall-cmd --state)" = running ]; then
  say firewall firewalld
  own=$(ask firewall-cmd --get-zone-of-interface="${card%@*}") || own=
  own=${own:-$(ask firewall-cmd --get-default-zone)}
  for zone in "$own" $(ask firewall-cmd --get-active-zones | awk '/^[^ \t]/ {print $1}'); do
    all=no
    if [ "$zone" = "$own" ]; then all=yes; fi
    ask firewall-cmd --info-zone="$zone" | zone_rules "$all"
  done
fi
say nameservers "$(awk '/^[ \t]*nameserver[ \t]/ {n++} END {print n + 0}' /etc/resolv.conf 2>/dev/null || echo 0)"
if has getent && [ -z "$(ask getent hosts "$(uname -n)")" ]; then say itself no; fi
say end
