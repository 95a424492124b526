# shellcheck shell=sh
# Sent by sparkqfs/gather/hosts.py, which says what its words are.
mtu=$1
shift
# not every ping can forbid that a packet is split: that of inetutils and of busybox cannot
if ping -n -q -c 1 -W 2 -M "do" -s 56 127.0.0.1 >/dev/null 2>&1; then
  for peer in "$@"; do
    (
      name=${peer%%=*} target=${peer#*=}
      large=no small=no
      if ping -n -q -c 2 -i 0.3 -W 2 -M "do" -s $((mtu - 28)) "$target" >/dev/null 2>&1; then
        large=yes small=yes
      elif ping -n -q -c 2 -i 0.3 -W 2 -s 56 "$target" >/dev/null 2>&1; then
        small=yes
      fi
      printf 'reached\t%s\t%s\t%s\t%s\n' "$name" "$mtu" "$large" "$small"
    ) &
  done
  wait
fi
echo end
