# shellcheck shell=bash
# Every step says `|| return`: callers test the result, and then `set -e` does not hold in here.
# Sourced by ./demo and ./test: the virtual environment and the Docker Engine they need.

as_root_on_debian() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; }
dockerd_pid=/run/sparkqfs-dockerd.pid
has_systemd() { [ -d /run/systemd/system ]; }

# Installs Debian's packages, or says how to.
need() {
  if as_root_on_debian; then
    echo "installing $*" >&2
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >/dev/null || return 1
  else
    echo "missing here: sudo apt-get install $* (Debian, Ubuntu; elsewhere the packages of your system)" >&2
    return 2
  fi
}

# The name of a Python that is new enough, Debian's own first.
find_python() {
  local python
  for python in python3 python3.14 python3.13 python3.12 python3.11; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
      echo "$python"
      return 0
    fi
  done
  return 1
}

say_old_python() {
  cat >&2 <<TEXT
Python 3.11 or newer is needed; python3 here is $(python3 -c 'import platform; print(platform.python_version())').
  Debian 12, Ubuntu 24.04 and newer have it. Beside an older one it does as well:
  Ubuntu 22.04: sudo apt-get install python3.11 python3.11-venv
  Fedora, RHEL 9 and alike: sudo dnf install python3.11
  elsewhere: https://docs.astral.sh/uv/guides/install-python/
TEXT
}

setup_python() {
  local python missing=()
  command -v python3 >/dev/null 2>&1 || find_python >/dev/null || missing+=(python3 python3-venv)
  command -v ssh-keygen >/dev/null 2>&1 || missing+=(openssh-client)
  if [ ${#missing[@]} -gt 0 ]; then need "${missing[@]}" || return; fi
  if ! python=$(find_python); then
    say_old_python
    return 2
  fi
  if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then need "$python-venv" || return; fi
  # Without pip it is one that broke off while it was made.
  [ -x .venv/bin/pip ] || "$python" -m venv --clear .venv || return 1
  local stamp
  stamp=$(sha256sum pyproject.toml | cut -d' ' -f1)
  if [ "$(cat .venv/.stamp 2>/dev/null || true)" != "$stamp" ]; then
    .venv/bin/pip install --quiet --disable-pip-version-check -e '.[dev]' || return 1
    echo "$stamp" > .venv/.stamp
  fi
}

# A pid file left by a machine that stopped hard may name another process by now; dockerd would not start then.
drop_stale_pid() {
  local file=$1 name=$2 pid
  [ -f "$file" ] || return 0
  pid=$(cat "$file")
  [ "$(cat "/proc/$pid/comm" 2>/dev/null || true)" = "$name" ] || rm -f "$file"
}

# Why the engine does not answer this user, and what to do; nothing that a user who is not root could do is tried.
say_no_engine() {
  local said=$1 user
  user=$(id -un)
  if ! command -v docker >/dev/null 2>&1; then
    echo "a Docker Engine is needed: sudo apt-get install docker.io (Debian, Ubuntu) or Docker's own packages, then" >&2
    echo "  sudo usermod -aG docker $user, and log in again" >&2
  elif grep -qi 'permission denied' <<<"$said"; then
    echo "user $user may not use the Docker Engine: sudo usermod -aG docker $user, and log in again" >&2
  elif has_systemd; then
    echo "the Docker Engine does not run: sudo systemctl start docker" >&2
  else
    echo "the Docker Engine does not run: sudo service docker start" >&2
  fi
}

setup_engine() {
  local said
  if said=$(docker info 2>&1 >/dev/null); then return 0; fi
  if [ "$(id -u)" != 0 ]; then
    say_no_engine "$said"
    return 2
  fi
  if ! command -v dockerd >/dev/null 2>&1; then need docker.io iptables || return; fi
  if docker info >/dev/null 2>&1; then return 0; fi
  if has_systemd; then
    systemctl start docker || return 1
  else
    drop_stale_pid /var/run/docker.pid dockerd
    drop_stale_pid /var/run/docker/containerd/containerd.pid containerd
    echo "starting dockerd; its log is /var/log/dockerd.log" >&2
    setsid nohup dockerd >/var/log/dockerd.log 2>&1 </dev/null &
    echo $! > "$dockerd_pid"
  fi
  local waited=0
  until docker info >/dev/null 2>&1; do
    waited=$((waited + 1))
    if [ "$waited" -gt 60 ]; then
      echo "the Docker Engine did not start within 60 s; see /var/log/dockerd.log" >&2
      return 4
    fi
    sleep 1
  done
}

# Programs that tests start themselves. Where they cannot be had the tests that need them are skipped, and say so.
# An sshd that comes with a package would be started by systemd: there it is left to the user.
setup_test_programs() {
  local wanted=()
  command -v shellcheck >/dev/null 2>&1 || wanted+=(shellcheck)
  command -v javac >/dev/null 2>&1 || wanted+=(openjdk-17-jdk-headless)
  command -v strace >/dev/null 2>&1 || wanted+=(strace)
  [ -x /usr/sbin/mkfs.ext4 ] || [ -x /sbin/mkfs.ext4 ] || wanted+=(e2fsprogs)
  if [ ! -x /usr/sbin/sshd ] && [ ! -d /run/systemd/system ]; then wanted+=(openssh-server); fi
  # Of Debian only: Ubuntu's is another kind of package. By itself, so that without it the others are there.
  local browser=()
  if grep -qs '^ID=debian$' /etc/os-release; then
    command -v chromium >/dev/null 2>&1 && command -v chromedriver >/dev/null 2>&1 || browser=(chromium chromium-driver)
  fi
  # Login shells that machines may have: by themselves too, as a system may lack one of them.
  local shells=() shell
  for shell in zsh fish tcsh ksh mksh; do command -v "$shell" >/dev/null 2>&1 || shells+=("$shell"); done
  if [ $((${#wanted[@]} + ${#browser[@]} + ${#shells[@]})) = 0 ] || ! as_root_on_debian; then return 0; fi
  echo "installing ${wanted[*]} ${browser[*]} ${shells[*]}" >&2
  apt-get update -qq || return 1
  local part rc=0
  for part in "${wanted[*]}" "${browser[*]}" "${shells[@]}"; do
    [ -n "$part" ] || continue
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $part >/dev/null || rc=1
  done
  return $rc
}
