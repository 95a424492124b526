# shellcheck shell=bash
# Every step says `|| return`: callers test the result, and then `set -e` does not hold in here.
# Sourced by ./demo and ./test: the virtual environment and the Docker Engine they need.

as_root_on_debian() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; }

setup_python() {
  local python=python3
  if ! command -v python3 >/dev/null 2>&1 || ! command -v ssh-keygen >/dev/null 2>&1; then
    if as_root_on_debian; then
      apt-get update -qq && apt-get install -y -qq python3 python3-venv openssh-client >/dev/null || return 1
    fi
  fi
  if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "Python 3.11 or newer is needed: apt-get install python3 python3-venv" >&2
    return 2
  fi
  if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    if as_root_on_debian; then
      apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null || return 1
    else
      echo "python3-venv is needed: apt-get install python3-venv" >&2
      return 2
    fi
  fi
  [ -x .venv/bin/python ] || "$python" -m venv .venv || return 1
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

setup_engine() {
  if docker info >/dev/null 2>&1; then return 0; fi
  if ! command -v dockerd >/dev/null 2>&1; then
    if ! as_root_on_debian; then
      echo "a Docker Engine is needed: install docker.io (Debian, Ubuntu) or Docker Engine, and let this user use it" >&2
      return 2
    fi
    echo "installing docker.io" >&2
    apt-get update -qq || return 1
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq docker.io iptables >/dev/null || return 1
  fi
  if docker info >/dev/null 2>&1; then return 0; fi
  if [ -d /run/systemd/system ]; then
    systemctl start docker || return 1
  elif [ "$(id -u)" = 0 ]; then
    drop_stale_pid /var/run/docker.pid dockerd
    drop_stale_pid /var/run/docker/containerd/containerd.pid containerd
    echo "starting dockerd; its log is /var/log/dockerd.log" >&2
    setsid nohup dockerd >/var/log/dockerd.log 2>&1 </dev/null &
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
  if [ ! -x /usr/sbin/sshd ] && [ ! -d /run/systemd/system ]; then wanted+=(openssh-server); fi
  # Of Debian only: Ubuntu's is another kind of package. By itself, so that without it the others are there.
  local browser=()
  if grep -qs '^ID=debian$' /etc/os-release; then
    command -v chromium >/dev/null 2>&1 && command -v chromedriver >/dev/null 2>&1 || browser=(chromium chromium-driver)
  fi
  if [ $((${#wanted[@]} + ${#browser[@]})) = 0 ] || ! as_root_on_debian; then return 0; fi
  echo "installing ${wanted[*]} ${browser[*]}" >&2
  apt-get update -qq || return 1
  local part rc=0
  for part in "${wanted[*]}" "${browser[*]}"; do
    [ -n "$part" ] || continue
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $part >/dev/null || rc=1
  done
  return $rc
}
