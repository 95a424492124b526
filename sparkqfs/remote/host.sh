# shellcheck shell=sh
# Sent by sparkqfs/gather/hosts.py, which says what its words are.
address=$1
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
line=$(ask ip -o -4 addr show to "$address")
case "$line" in
  *" dynamic "*forever*forever*) : ;;
  *" dynamic "*) say dhcp yes ;;
esac
card=$(printf '%s\n' "$line" | awk 'NR == 1 {print $2}')
if [ -n "$card" ] && [ -r "/sys/class/net/${card%@*}/mtu" ]; then say mtu "$(cat "/sys/class/net/${card%@*}/mtu")"; fi
if has ufw && rules=$(ask ufw status) && [ "${rules#*Status: active}" != "$rules" ]; then
  say firewall ufw
  printf '%s\n' "$rules" | awk '/ALLOW/ {print "allowed\t" $0}'
elif has firewall-cmd && [ "$(ask firewall-cmd --state)" = running ]; then
  say firewall firewalld
  for word in $(ask firewall-cmd --list-ports) $(ask firewall-cmd --zone=trusted --list-sources); do say allowed "$word"; done
fi
say nameservers "$(awk '/^[ \t]*nameserver[ \t]/ {n++} END {print n + 0}' /etc/resolv.conf 2>/dev/null || echo 0)"
if has getent && [ -z "$(ask getent hosts "$(uname -n)")" ]; then say itself no; fi
say end
