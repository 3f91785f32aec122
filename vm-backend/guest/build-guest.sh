#!/usr/bin/env bash
# Makes the guest of the vm hull: kernel, initramfs, and the file system that pods' disks are cloned from.
#
# usage: build-guest.sh OUT_DIR AGENT [KERNEL]
#   OUT_DIR/vmlinuz         kernel of a Debian cloud image, unpacked, never installed
#   OUT_DIR/initramfs.img   newc archive, zstd: AGENT as /init, the modules the guest loads. Modules
#                           fit one kernel, so each kernel has an initramfs of its own.
#   OUT_DIR/writable.img    sparse, formatted ext4; any kernel's
#   OUT_DIR/cache/          what was downloaded
#
# KERNEL says whose: "host" (the default) takes the one of this machine's own Debian release (Linux
# 6.1 on Debian 12), "6.12" that of Debian 13, which leaves this machine's apt sources alone and goes
# to OUT_DIR/6.12/ (vmlinuz and initramfs.img only).
#
# environment:
#   GUEST_KERNEL_PACKAGE    Debian package of the kernel, "linux-image-cloud-amd64" by default
#   GUEST_CACHE             folder of downloads to use instead of OUT_DIR/cache
#   GUEST_WRITABLE_BYTES    nominal size of writable.img, 8 GiB by default
#   GUEST_UPDATE            not empty: asks Debian for a newer kernel than the one downloaded before
#   GUEST_OFFLINE           not empty: fails where a kernel would have to be downloaded
#
# `catamaran guest build` runs it on a node, ./dev build in the source tree. Nothing is done where
# everything is newer than its sources.
set -euo pipefail

# What the guest loads, in this order, each after what it depends on. Everything a pod may need is in the
# template's memory already: loading a module in a clone costs ten times its share of the template.
OPTIONAL_MODULES=(af_packet tun veth bridge dummy nf_tables binfmt_misc)  # absent from some kernels
MODULES=(virtio_pci virtio_console virtio_scsi sd_mod virtio_net erofs overlay fuse "${OPTIONAL_MODULES[@]}")
declare -A PARAMETERS=([dummy]=numdummies=0)  # a pod finds no link that it did not make

fail() { echo "build-guest: $*" >&2; exit 1; }
say() { echo "build-guest: $*"; }
# need PROGRAM PACKAGE ...: all that is missing, said at once.
need() {
  local packages=() programs=()
  for (( ; $#; )); do
    command -v "$1" >/dev/null || { programs+=("$1") packages+=("$2"); }
    shift 2
  done
  ((${#programs[@]})) || return 0
  fail "${programs[*]} missing; next: apt-get install ${packages[*]}"
}

[ $# -eq 2 ] || [ $# -eq 3 ] || fail "usage: build-guest.sh OUT_DIR AGENT [KERNEL]"
mkdir -p "$1"
out=$(readlink -f "$1")
cache=${GUEST_CACHE:-$out/cache}
case ${3:-host} in  # the Debian release whose kernel it is; empty: this machine's
  host) suite="" ;;
  6.12) suite=trixie out=$out/6.12 ;;
  *) fail "kernel '$3' is unknown: must be host or 6.12" ;;
esac
mkdir -p "$out"
agent=$(readlink -f "$2") || fail "no such file: $2"
[ -x "$agent" ] || fail "$2 is not an executable file"
package=${GUEST_KERNEL_PACKAGE:-linux-image-cloud-amd64}
writable_bytes=${GUEST_WRITABLE_BYTES:-$((8 << 30))}
kernel=$cache/${suite:+$suite-}$package
need apt-get apt dpkg-deb dpkg cpio cpio zstd zstd xz xz-utils mkfs.ext4 e2fsprogs

# From here on apt sees $suite alone, through a configuration of its own: the machine's mirror, lists
# below $cache, signatures checked against Debian's keys.
use_suite() {
  local state=$cache/apt-$suite mirror
  mirror=$(apt-get indextargets --format '$(REPO_URI) $(LABEL)' 'Identifier: Packages' |
    sed -n 's/ Debian$//p' | head -1)
  mkdir -p "$state"/lists/partial "$state"/cache/archives/partial
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]" \
    "${mirror:-http://deb.debian.org/debian/} $suite main" >"$state/sources.list"
  printf '%s "%s";\n' Dir::State "$state" Dir::State::status /dev/null Dir::State::lists "$state/lists" \
    Dir::Cache "$state/cache" Dir::Etc::sourcelist "$state/sources.list" Dir::Etc::sourceparts /dev/null \
    Acquire::Languages none >"$state/apt.conf"
  export APT_CONFIG=$state/apt.conf
  apt-get update -q >"$state/update.log" 2>&1 || fail "apt-get update of $suite: $(tail -1 "$state/update.log")"
}

# The newest dependency that holds a kernel: linux-image-6.1.0-NN-cloud-amd64.
kernel_package() {
  apt-cache depends "$package" 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | tail -1 || true
}

# What apt knows is as old as its last update, and nothing on a machine that is new.
ask_debian() {
  if [ -n "$suite" ]; then
    use_suite
  elif [ -n "${GUEST_UPDATE:-}" ] || [ -z "$(kernel_package)" ]; then
    say "asking Debian for its newest kernel"
    apt-get update -q >"$cache/update.log" 2>&1 ||
      fail "apt-get update: $(tail -1 "$cache/update.log"); next: correct the network or /etc/apt/sources.list"
  fi
}

# Downloads and unpacks the kernel package. A metapackage leads to the package of the newest version.
fetch_kernel() {
  [ ! -f "$kernel/complete" ] || [ -n "${GUEST_UPDATE:-}" ] || return 0
  [ -z "${GUEST_OFFLINE:-}" ] || fail "no kernel was downloaded to $cache yet; next: catamaran guest build"
  mkdir -p "$cache"
  ask_debian
  local real version
  real=$(kernel_package)
  real=${real:-$package}
  version="$real $(apt-cache show --no-all-versions "$real" 2>/dev/null | sed -n 's/^Version: //p')"
  [ "$(cat "$kernel/complete" 2>/dev/null)" != "$version" ] || return 0
  rm -rf "$kernel.new"
  mkdir -p "$kernel.new/root"
  say "downloading $version"
  (cd "$kernel.new" && apt-get download -q "$real" >download.log 2>&1) ||
    fail "apt-get download $real: $(tail -1 "$kernel.new/download.log"); next: apt-get update, or see" \
      "/etc/apt/sources.list"
  say "unpacking it"
  dpkg-deb -x "$kernel.new"/*.deb "$kernel.new/root" || fail "cannot unpack $real"
  compgen -G "$kernel.new/root/boot/vmlinuz-*" >/dev/null || fail "$real holds no kernel"
  rm "$kernel.new"/*.deb
  echo "$version" >"$kernel.new/complete"
  rm -rf "$kernel"
  mv "$kernel.new" "$kernel"
}

# Path of a module in the unpacked package; nothing where there is none. Dashes and underscores are alike.
module_file() {
  find "$modules" -name "${1//[-_]/[-_]}.ko*" | head -1
}

# Copies module $1 below $2/modules and appends it to the order file, its dependencies first.
add_module() {
  local name=${1//-/_} root=$2 file dependency
  [ ! -e "$root/modules/$name.ko" ] || return 0
  file=$(module_file "$name")
  [ -n "$file" ] || return 1
  mkdir -p "$root/modules"
  case $file in  # stored unpacked: the archive as a whole is compressed
    *.xz) xz -dc "$file" >"$root/modules/$name.ko" ;;
    *.zst) zstd -qdc "$file" >"$root/modules/$name.ko" ;;
    *) cp "$file" "$root/modules/$name.ko" ;;
  esac
  for dependency in $(tr '\0' '\n' <"$root/modules/$name.ko" | sed -n 's/^depends=//p' | tr ',' ' '); do
    add_module "$dependency" "$root" || fail "module $name needs $dependency, which $package lacks"
  done
  echo "$name.ko${PARAMETERS[$name]:+ ${PARAMETERS[$name]}}" >>"$root/modules/order"
}

build_initramfs() {
  local root=$out/initramfs.new module
  say "packing the initramfs"
  rm -rf "$root" "$root.img"
  mkdir -p "$root"/{dev,proc,sys,run,tmp,modules}
  for module in "${MODULES[@]}"; do
    add_module "$module" "$root" && continue
    # Built into the kernel?
    grep -qsE "/${module//[-_]/[-_]}\.ko" "$modules"/modules.builtin && continue
    [[ " ${OPTIONAL_MODULES[*]} " == *" $module "* ]] || fail "$package has no module $module"
  done
  # What the modules are for, so that the agent can say so where another kernel finds them.
  basename "$modules" >"$root/modules/kernel"
  cp "$agent" "$root/init"
  chmod 0755 "$root/init"
  (cd "$root" && find . -mindepth 1 | LC_ALL=C sort | cpio -o -H newc --owner=0:0 --reproducible --quiet) |
    zstd -q -T0 -9 -f -o "$root.img"
  rm -rf "$root"
  mv "$root.img" "$out/initramfs.img"
}

# Never written by a VM: each pod gets a sparse clone. No journal, because a pod's disk dies with its VM, and
# nothing is zeroed ahead, so the file holds a few hundred KiB of data.
build_writable() {
  say "formatting the disk that pods' disks are copies of"
  rm -f "$out/writable.new"
  truncate -s "$writable_bytes" "$out/writable.new"
  mkfs.ext4 -q -F -m 0 -L catamaran -O ^has_journal,^resize_inode \
    -E lazy_itable_init=1,nodiscard,root_owner=0:0 "$out/writable.new" || fail "mkfs.ext4 failed"
  mv "$out/writable.new" "$out/writable.img"
}

# The inputs of each file, compared with those it was made from.
stamp_is() { [ "$(cat "$out/.$1.stamp" 2>/dev/null)" = "$2" ] && [ -s "$out/$1" ]; }
script=$(sha256sum "${BASH_SOURCE[0]}" | cut -c1-64)

fetch_kernel
modules=$(compgen -G "$kernel/root/lib/modules/*" || compgen -G "$kernel/root/usr/lib/modules/*") ||
  fail "$package holds no modules"
version=$(cat "$kernel/complete")
if ! stamp_is vmlinuz "$version"; then
  cp "$kernel"/root/boot/vmlinuz-* "$out/vmlinuz.new"
  mv "$out/vmlinuz.new" "$out/vmlinuz"
  echo "$version" >"$out/.vmlinuz.stamp"
fi
inputs="$version $script $(sha256sum "$agent" | cut -c1-64)"
if ! stamp_is initramfs.img "$inputs"; then
  build_initramfs
  echo "$inputs" >"$out/.initramfs.img.stamp"
fi
if [ -z "$suite" ] && ! stamp_is writable.img "$script $writable_bytes"; then
  build_writable
  echo "$script $writable_bytes" >"$out/.writable.img.stamp"
fi
say "the guest is in $out: Linux $(basename "$modules"), $(du -shc "$out"/vmlinuz "$out"/initramfs.img | tail -1 | cut -f1)"
