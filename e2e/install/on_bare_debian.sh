#!/usr/bin/env bash
# Installation, checked: the packages of this tree in a Debian 12 base system with nothing added
# (check_package.sh), and the tarball in a root that has nothing but busybox (check_tree.sh). Makes
# the packages first. Needs the network for Debian's packages; leaves nothing behind.
# CATAMARAN_CHECK_HANDLERS="ns": without a VM. CATAMARAN_CHECK_ROOT=FOLDER: a copy of that Debian 12.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
cd "$here/../.."
mirror=${CATAMARAN_DEBIAN_MIRROR:-http://deb.debian.org/debian}

# In namespaces of its own, so that no mount and no process outlives this script.
if [[ ${1:-} != inside ]]; then
  "$here/make_files.sh" build/package/check
  exec unshare --mount --pid --fork --kill-child "$here/on_bare_debian.sh" inside
fi
base=$(mktemp -d /var/tmp/catamaran-install.XXXXXX)
group=/catamaran-install-check.${base##*.}
mount --make-rprivate /
mount -t proc proc /proc
clean_up() {
  # In a pid namespace: all that was started here and is left is ended with it.
  find /sys/fs/cgroup -depth -type d -path "*$group*" -exec sh -c 'kill -9 $(cat "$1/cgroup.procs") 2>/dev/null' _ {} \;
  sleep 1
  find /sys/fs/cgroup -depth -type d -path "*$group*" -exec rmdir {} \; 2>/dev/null || true
  local root
  for root in "$base"/*; do ! mountpoint -q "$root" || umount --recursive --lazy "$root"; done
  rm -rf --one-file-system "$base"
}
trap clean_up EXIT

# run_in ROOT COMMAND...: with ROOT as `/` itself, as on a machine of its own: in a chroot no mount is.
run_in() {
  local root=$1
  shift
  mountpoint -q "$root" || mount --rbind "$root" "$root"
  local folder
  for folder in proc sys dev; do mountpoint -q "$root/$folder" || mount --rbind "/$folder" "$root/$folder"; done
  mountpoint -q "$root/run" || mount -t tmpfs tmpfs "$root/run"
  unshare --mount --propagation private bash -euc '
    cd "$0"
    pivot_root . mnt
    cd /
    umount -l /mnt
    exec "$@"' "$root" \
    /usr/bin/env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root CATAMARAN_CHECK_CGROUP="$group" \
    ${CATAMARAN_CHECK_HANDLERS:+CATAMARAN_CHECK_HANDLERS="$CATAMARAN_CHECK_HANDLERS"} \
    ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} "$@"
}

echo "==> a root with nothing but busybox"
tree=$base/tree
mkdir -p "$tree"/{bin,usr/bin,usr/local/bin,sbin,proc,sys,dev,mnt,etc,run,tmp,var/lib,opt,root,client.d}
cp /bin/busybox "$tree/bin/busybox"
for name in $(/bin/busybox --list); do
  [[ $name == busybox ]] || ln -s /bin/busybox "$tree/bin/$name"
done
ln -s /bin/env "$tree/usr/bin/env"
tar -xzf build/package/catamaran-*-linux-amd64.tar.gz -C "$tree/opt"
mv "$tree"/opt/catamaran-* "$tree/opt/catamaran"
cp -r build/package/check/busybox "$tree/busybox"
cp "$here/check_tree.sh" "$tree/check_tree.sh"
# The client's own libraries, apart from the tree's.
cp build/package/check/install_client "$tree/client.d/"
ldd build/package/check/install_client | sed -n 's/.* => \([^ ]*\) .*/\1/p; s/^\t\(\/[^ ]*\) .*/\1/p' |
  xargs -I{} cp -L {} "$tree/client.d/"
printf '#!/bin/sh\nexec /client.d/ld-linux-x86-64.so.2 --library-path /client.d /client.d/install_client "$@"\n' >"$tree/bin/client"
chmod +x "$tree/bin/client"
export -f run_in
export base group
unshare --net bash -euc 'run_in "$0" /bin/sh /check_tree.sh' "$tree"

echo "==> Debian 12 base system"
debian=$base/debian
if [[ -n ${CATAMARAN_CHECK_ROOT:-} ]]; then
  cp -a "$CATAMARAN_CHECK_ROOT" "$debian"
else
  debootstrap --variant=minbase bookworm "$debian" "$mirror" >"$base/log" 2>&1 || { tail -20 "$base/log"; exit 1; }
fi
[[ ! -f /etc/resolv.conf ]] || cp -L /etc/resolv.conf "$debian/etc/resolv.conf"
echo "deb $mirror bookworm main
deb $mirror bookworm-updates main
deb ${mirror%/debian}/debian-security bookworm-security main" >"$debian/etc/apt/sources.list"
cp -r build/package/check "$debian/root/check"
run_in "$debian" bash -c 'apt-get update -qq && apt-get install -y -qq --no-install-recommends iproute2 >/dev/null 2>&1 &&
  exec /root/check/check_package.sh /root/check'
