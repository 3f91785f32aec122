#!/usr/bin/env bash
# Prints the path of a Go 1.26 (or newer) command: the one on PATH, else Debian's, unpacked below
# CATAMARAN_CACHE (default /var/cache/catamaran) by an apt configuration of its own. Nothing is
# installed and the system's package lists stay as they are. Fails where neither is to be had.
set -euo pipefail
readonly wanted=1.26 package=golang-1.26
cache=${CATAMARAN_CACHE:-/var/cache/catamaran}/$package

fail() { echo "go_toolchain: $*" >&2; exit 1; }

# is_new_enough GO: whether this command's version is at least `wanted`.
is_new_enough() {
  local version
  version=$(GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null) || return 1
  [[ $(printf '%s\n' "$wanted" "${version#go}" | sort -V | head -1) == "$wanted" ]]
}

# The mirror that this machine's own packages come from.
debian_mirror() {
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 2>/dev/null |
    grep -v security | sort -u | head -1
}

unpack_debians() {
  local mirror suite apt=$cache.new/apt
  mirror=$(debian_mirror)
  [[ -n $mirror ]] || fail "no go $wanted on PATH, and apt-get update was never run here"
  rm -rf "$cache.new"
  mkdir -p "$apt"/{state/lists/partial,cache/archives/partial} "$cache.new/root"
  cat >"$apt/apt.conf" <<TEXT
Dir::State "$apt/state";
Dir::State::status "$apt/status";
Dir::Cache "$apt/cache";
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "-";
Acquire::Languages "none";
Acquire::Check-Valid-Until "false";
APT::Sandbox::User "root";
TEXT
  touch "$apt/status"
  for suite in testing sid; do
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$apt/sources.list"
    APT_CONFIG=$apt/apt.conf apt-get update -qq >&2 || continue
    (cd "$cache.new" && APT_CONFIG=$apt/apt.conf apt-get download -qq "$package-go" "$package-src") >&2 && break
  done
  local debs=("$cache.new"/*.deb)
  [[ -f ${debs[0]} ]] || fail "no go $wanted on PATH, and $package is in neither testing nor sid of $mirror"
  for deb in "${debs[@]}"; do dpkg-deb -x "$deb" "$cache.new/root" || fail "cannot unpack $deb"; done
  rm -rf "$apt" "${debs[@]}" "$cache"
  mv "$cache.new" "$cache"
}

if found=$(command -v go) && is_new_enough "$found"; then
  echo "$found"
  exit
fi
go=$cache/root/usr/lib/go-$wanted/bin/go
[[ -x $go ]] || unpack_debians
is_new_enough "$go" || fail "$go does not run here: $("$go" version 2>&1 | head -1)"
echo "$go"
