#!/usr/bin/env bash
# The newcomer's experience, checked: a Debian 12 base system with nothing added, a clean clone of
# this tree's HEAD, `./dev demo`. Needs the network for Debian's packages.
# usage: on_bare_debian.sh [COMMAND]    another command of ./dev than demo
# CATAMARAN_LEND_CCACHE=1 lends it this machine's compiler cache: no measure of a cold build then.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
mirror=${CATAMARAN_DEBIAN_MIRROR:-http://deb.debian.org/debian}

# In namespaces of its own, so that no mount and no process outlives this script.
if [[ ${1:-} != inside ]]; then
  exec unshare --mount --pid --fork --kill-child "$PWD/e2e/demo/on_bare_debian.sh" inside "$@"
fi
command=${2:-demo}
base=$(mktemp -d /var/tmp/catamaran-debian.XXXXXX)
mount --make-rprivate /
mount -t proc proc /proc
# Nothing is removed while something else's files are mounted there.
trap '! mountpoint -q "$base" || umount --recursive --lazy "$base" && rm -rf --one-file-system "$base"' EXIT

echo "==> Debian 12 base system in $base"
debootstrap bookworm "$base" "$mirror" >"$base.log" 2>&1 || { tail -20 "$base.log"; exit 1; }
rm -f "$base.log"
[[ ! -f /etc/resolv.conf ]] || cp -L /etc/resolv.conf "$base/etc/resolv.conf"
echo "deb $mirror bookworm main
deb $mirror bookworm-updates main
deb ${mirror%/debian}/debian-security bookworm-security main" >"$base/etc/apt/sources.list"
# The base system becomes `/` itself, as on a machine of its own: in a chroot no mount is.
mount --rbind "$base" "$base"
for folder in proc sys dev; do mount --rbind "/$folder" "$base/$folder"; done
if [[ -n ${CATAMARAN_LEND_CCACHE:-} ]]; then
  mkdir -p "$base/root/.cache/ccache"
  mount --bind "$(ccache --get-config cache_dir)" "$base/root/.cache/ccache"
fi
git clone -q --no-hardlinks . "$base/root/catamaran"

run() {
  local start=$SECONDS
  unshare --mount --propagation private bash -euc '
    cd "$0"
    pivot_root . mnt
    cd /
    umount --lazy /mnt
    exec "$@"' "$base" \
    /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
    ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} \
    /root/catamaran/dev "$command"
  echo "==> ./dev $command $1: $((SECONDS - start)) s"
}
run "with nothing installed and nothing built"
run "once built"
