#!/usr/bin/env bash
# Makes the disk of the test node: Debian 12 with systemd, and what Catamaran needs at run time.
#
# usage: make-root.sh OUT_DIR
#   OUT_DIR/root.img       sparse ext4 with project quotas
#   OUT_DIR/vmlinuz, initrd.img   its kernel (Debian's ordinary one), which QEMU boots directly
#   OUT_DIR/key            the ssh key that its root accepts
#   OUT_DIR/debs/          downloaded packages, for the next time
# CATAMARAN_DEBIAN_MIRROR: another mirror than deb.debian.org.
set -euo pipefail

# By their Debian 12 names: what a node is, what Catamaran runs with, the libraries it is linked to.
packages=(
  linux-image-amd64 initramfs-tools zstd systemd systemd-sysv dbus udev apparmor openssh-server kmod
  qemu-system-x86 erofs-utils nftables iptables busybox-static iproute2 e2fsprogs xfsprogs cpio xz-utils
  procps containernetworking-plugins docker-registry criu ca-certificates quota less strace
  selinux-policy-default policycoreutils selinux-utils
  "libgrpc++1.51" libprotobuf32 libyaml-cpp0.7 libspdlog1.10 libfmt9 libcurl4 libarchive13 libsqlite3-0
  libssl3 libzstd1 libisal2 libfuse3-3 libprometheus-cpp-core1.0 libseccomp2 libsystemd0 libgtest-dev
)
# What the kernel needs before it has a root file system; quota_v2 because quotas are switched on
# by the mount of it. A list, not "most": an emulated machine unpacks the difference for ten seconds.
initrd_modules=(virtio_pci virtio_blk ext4 crc32c_generic quota_v2)

fail() { echo "make-root: $*" >&2; exit 1; }

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
[[ $# -ge 1 ]] || fail "usage: make-root.sh OUT_DIR"
# In namespaces of its own, so that no mount and no process outlives this script.
if [[ ${2:-} != inside ]]; then
  exec unshare --mount --pid --fork --kill-child "${BASH_SOURCE[0]}" "$1" inside
fi
mkdir -p "$1/debs"
out=$(readlink -f "$1")
mirror=${CATAMARAN_DEBIAN_MIRROR:-http://deb.debian.org/debian}
root=$out/root.new
mount --make-rprivate /
mount -t proc proc /proc
forget_root() {
  local folder
  for folder in "$root"/{proc,sys,dev,var/cache/apt/archives}; do
    ! mountpoint -q "$folder" || umount --recursive --lazy "$folder"
  done
  rm -rf --one-file-system "$root"
}
trap forget_root EXIT
forget_root

inside() {
  env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive \
    ${http_proxy:+http_proxy="$http_proxy"} chroot "$root" "$@"
}

# A clock may be ahead of what a mirror's Release file says of itself; its signature is checked all the same.
install_debian() {
  debootstrap --variant=minbase --cache-dir="$out/debs" bookworm "$root" "$mirror" >"$out/debootstrap.log" 2>&1 ||
    fail "debootstrap failed: $(tail -5 "$out/debootstrap.log")"
  printf 'deb %s %s main\n' "$mirror" bookworm "$mirror" bookworm-updates \
    "${mirror%/debian}/debian-security" bookworm-security >"$root/etc/apt/sources.list"
  echo 'Acquire::Check-Valid-Until "false"; Acquire::Check-Date "false"; Acquire::Languages "none";
Binary::apt::APT::Keep-Downloaded-Packages "true"; APT::Keep-Downloaded-Packages "true";' >"$root/etc/apt/apt.conf.d/90catamaran"
  # No service is started in a folder; none is stopped by it.
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
  chmod +x "$root/usr/sbin/policy-rc.d"
  cp -L /etc/resolv.conf "$root/etc/resolv.conf"
  mkdir -p "$root/etc/initramfs-tools/conf.d"
  echo MODULES=list >"$root/etc/initramfs-tools/conf.d/catamaran"
  printf '%s\n' "${initrd_modules[@]}" >"$root/etc/initramfs-tools/modules"
  mount --bind "$out/debs" "$root/var/cache/apt/archives"
  for folder in proc sys dev; do mount --rbind "/$folder" "$root/$folder"; done
  inside apt-get update -q >"$out/apt.log" 2>&1 || fail "apt-get update failed: $(tail -5 "$out/apt.log")"
  inside apt-get install -qy --no-install-recommends -o Dpkg::Options::=--force-confold \
    -o Dpkg::Options::=--force-unsafe-io "${packages[@]}" >>"$out/apt.log" 2>&1 ||
    fail "apt-get install failed: $(tail -20 "$out/apt.log")"
  rm "$root/usr/sbin/policy-rc.d"
  umount "$root/var/cache/apt/archives"
  for folder in proc sys dev; do umount --recursive --lazy "$root/$folder"; done
}

# What a cloud's first boot would do.
configure() {
  echo catamaran-node >"$root/etc/hostname"
  printf '127.0.0.1 localhost catamaran-node\n' >"$root/etc/hosts"
  echo '/dev/vda / ext4 defaults,prjquota 0 1' >"$root/etc/fstab"
  # Addresses of QEMU's user network; DHCP would only be waited for.
  printf '[Match]\nName=eth0\n[Network]\nAddress=10.0.2.15/24\nGateway=10.0.2.2\nDNS=10.0.2.3\n' \
    >"$root/etc/systemd/network/eth0.network"
  inside systemctl -q enable systemd-networkd ssh serial-getty@ttyS0
  inside systemctl -q mask apt-daily.timer apt-daily-upgrade.timer e2scrub_reap.service \
    systemd-networkd-wait-online.service fstrim.timer dpkg-db-backup.timer
  # Names of clients are looked up by no one here, and root comes with a key.
  printf 'UseDNS no\nPermitRootLogin prohibit-password\nMaxSessions 100\n' >"$root/etc/ssh/sshd_config.d/catamaran.conf"
  rm -f "$out/key" "$out/key.pub"
  ssh-keygen -q -t ed25519 -N '' -C catamaran-node -f "$out/key"
  install -D -m 0600 "$out/key.pub" "$root/root/.ssh/authorized_keys"
  mkdir -p "$root/opt/cni"
  ln -s /usr/lib/cni "$root/opt/cni/bin"
  # Looked at where the kernel is told to use SELinux: CATAMARAN_NODE_SELINUX of node.sh.
  printf 'SELINUX=permissive\nSELINUXTYPE=default\n' >"$root/etc/selinux/config"
  mount -t proc proc "$root/proc"
  cp "$here/container.cil" "$root/tmp/"
  inside semodule -n -s default -i /tmp/container.cil >>"$out/apt.log" 2>&1 || fail "semodule failed: $(tail -5 "$out/apt.log")"
  rm "$root/tmp/container.cil"
  inside setfiles -m -F /etc/selinux/default/contexts/files/file_contexts / >"$out/labels.log" 2>&1 ||
    fail "setfiles failed: $(tail -5 "$out/labels.log")"
  umount "$root/proc"
  cp -L "$root/vmlinuz" "$out/vmlinuz"
  cp -L "$root/initrd.img" "$out/initrd.img"
}

write_image() {
  rm -f "$out/root.img.new"
  truncate -s 24G "$out/root.img.new"
  mkfs.ext4 -q -F -m 0 -L node -O quota,project -E quotatype=prjquota,lazy_itable_init=1,nodiscard,root_owner=0:0 \
    -d "$root" "$out/root.img.new" || fail "mkfs.ext4 failed"
  mv "$out/root.img.new" "$out/root.img"
}

start=$SECONDS
install_debian
echo "make-root: Debian 12 with $(inside dpkg -l | grep -c ^ii) packages, $((SECONDS - start)) s"
start=$SECONDS
configure
write_image
echo "make-root: disk of $(du -m "$out/root.img" | cut -f1) MiB written, $((SECONDS - start)) s"
