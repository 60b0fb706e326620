# shellcheck shell=bash
# shellcheck disable=SC2154
# Sourced: a Debian in a folder, booted with systemd as its first process (systemd-nspawn), without any
# network but loopback. Needs root. The caller sets
#   machine  the folder of its root

cgroups=icapgate-test-$$

# why_no_machine: prints what is missing here, or nothing.
why_no_machine() {
  if [ "$(id -u)" -ne 0 ]; then echo "needs root"; return; fi
  local tool
  for tool in debootstrap systemd-nspawn unshare nsenter; do
    command -v $tool >/dev/null || { echo "needs $tool (app/packages --install deploy)"; return; }
  done
  unshare --mount --propagation private sh -c \
    'umount -R /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup && mkdir -p /sys/fs/cgroup/'"$cgroups" \
    >/dev/null 2>&1 || echo "needs cgroups of version 2 that can be written to"
}

# Boots it; returns when systemd says that all is up. Its console goes to FILE.
boot() {
  local console=$1 n
  # A mount namespace where /sys/fs/cgroup is version 2 alone, whatever this machine uses, and a group of
  # its own in it for the machine to rule over.
  # shellcheck disable=SC2016
  unshare --mount --propagation private bash -c '
    set -e
    umount -R /sys/fs/cgroup
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    mkdir -p "/sys/fs/cgroup/$2"
    echo $$ >"/sys/fs/cgroup/$2/cgroup.procs"
    exec systemd-nspawn --boot --register=no --keep-unit --private-network --link-journal=no \
      --console=pipe --quiet --machine="$2" --directory="$1"
  ' boot "$machine" "$cgroups" </dev/null >"$console" 2>&1 &
  container=$!
  for ((n = 0; n < 300; ++n)); do
    first=$(pgrep -P "$container" | head -n 1)
    if [ "$first" ] && inside systemctl is-system-running 2>/dev/null | grep -qE '^(running|degraded)$'; then
      return 0
    fi
    if ! kill -0 "$container" 2>/dev/null; then break; fi
    sleep 0.2
  done
  tail -n 20 "$console" >&2
  return 1
}

# inside COMMAND...: in the booted machine, as root, with a clean environment.
inside() {
  nsenter --target "$first" --mount --uts --ipc --net --pid --cgroup -- \
    env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
    DEBIAN_FRONTEND=noninteractive "$@" </dev/null
}

halt() {
  [ "${container-}" ] || return 0
  kill -TERM "$container" 2>/dev/null || true
  wait "$container" 2>/dev/null || true
  container=
  unshare --mount --propagation private sh -c 'umount -R /sys/fs/cgroup
    mount -t cgroup2 cgroup2 /sys/fs/cgroup && cd "/sys/fs/cgroup" && find "$0" -depth -type d -exec rmdir {} +' \
    "$cgroups" 2>/dev/null || true
}
