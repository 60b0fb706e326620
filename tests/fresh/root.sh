# shellcheck shell=bash disable=SC2154
# Sourced: minimal Debian systems (debootstrap's minbase, plus git) in folders, for tests on machines that
# have never seen the project. Needs root and debootstrap. The caller sets
#   release  bookworm or trixie
#   store    where base systems are kept for the next time

say() { printf '### %s\n' "$*"; }

# Where this machine gets its packages from, as lines of a sources.list for $release.
sources() {
  local own uri suite component
  # shellcheck disable=SC1091
  own=$(. /etc/os-release && echo "$VERSION_CODENAME")
  # shellcheck disable=SC2016
  apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Identifier: Packages' 'Origin: Debian' |
    sort -u | while read -r uri suite component; do
      echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri ${suite/#$own/$release} $component"
    done
}

# And how: proxies, and whether dates are checked.
apt_settings() { apt-config dump | grep -E '^Acquire::(https?::|Check-|Retries)' || true; }

# Makes $store/$release, unless it is there.
make_base() {
  local base=$store/$release mirror
  [ -d "$base" ] && return
  mirror=$(sources | awk -v suite="$release" '$4 == suite { print $3; exit }')
  say "making the base system from $mirror"
  mkdir -p "$store"
  rm -rf --one-file-system "$base.part"
  debootstrap --variant=minbase --include=git "$release" "$base.part" "$mirror" >"$base.log" 2>&1 ||
    { tail -n 20 "$base.log" >&2; exit 1; }
  rm -f "$base.part"/var/cache/apt/archives/*.deb
  mv "$base.part" "$base"
}

# copy_base MACHINE: a machine of its own in that folder, which knows where packages come from.
copy_base() {
  cp -a --reflink=auto "$store/$release" "$1"
  rm -rf "$1"/etc/apt/sources.list.d/*
  sources >"$1/etc/apt/sources.list"
  apt_settings >"$1/etc/apt/apt.conf.d/99host"
  cp -L /etc/resolv.conf "$1/etc/resolv.conf"
  echo '127.0.0.1 localhost fresh' >"$1/etc/hosts"
}
