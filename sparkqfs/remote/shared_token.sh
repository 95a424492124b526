# shellcheck shell=sh disable=SC2016
# Sent by sparkqfs/jobs/storage/shared_path.py, which says what its words are.
role=$1 path=$2 dir=$3 token=$4 uid=$5 gid=$6 cache_s=$7
LC_ALL=C; export LC_ALL
as_owner() { setpriv --reuid "$uid" --regid "$gid" --clear-groups -- "$@" 2>&1; }
finish() { state=$1 why=$2; printf 'state\t%s\t%s\nend\n' "$state" "$why"; }
remove_at_end() { mine=$1; trap 'as_owner rm -f -- "$mine" >/dev/null' EXIT; trap 'exit 1' HUP INT TERM; }
said=$(stat -L -c %F -- "$path" 2>&1) || { finish unusable "${said##*: }"; exit; }
[ "$said" = directory ] || { finish unusable "a $said, not a directory"; exit; }
printf 'mount\t%s\n' "$(findmnt -nro FSTYPE,SOURCE -T "$path" | tail -n 1)"
file=$dir/.sparkqfs-token-$token
case $role in
write)
  [ -d "$dir" ] || { finish unprepared ""; exit; }
  remove_at_end "$file"
  said=$(as_owner sh -c 'file=$1 token=$2; printf %s "$token" >"$file"' sh "$file" "$token") ||
    { finish unusable "cannot be written by uid $uid: ${said##*: }"; exit; }
  finish written ""
  timeout 300 cat >/dev/null
  ;;
read)
  tries=$((cache_s * 5))
  until said=$(as_owner cat -- "$file") && [ "$said" = "$token" ]; do
    case $said in *"ermission denied") finish unusable "cannot be read by uid $uid: Permission denied"; exit;; esac
    tries=$((tries - 1))
    [ $tries -gt 0 ] || { finish unseen ""; exit; }
    sleep 0.2
    as_owner ls -- "$dir" >/dev/null
  done
  remove_at_end "$file.$(uname -n)"
  said=$(as_owner touch -- "$mine") || { finish unusable "cannot be written by uid $uid: ${said##*: }"; exit; }
  finish seen ""
  ;;
look) finish usable "" ;;
esac
