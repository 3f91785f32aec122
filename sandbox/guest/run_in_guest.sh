#!/usr/bin/env bash
# Runs static test programs on the guest's kernel: cgroup v2 alone, and an older Linux than the host's.
#
# usage: run_in_guest.sh GUEST_DIR [with:FILE] [disk:FILE] [module:NAME] PROGRAM [--gtest_filter=...] ...
#   with:FILE     a program that lies beside them and is not run
#   disk:FILE     a disk with this content, which is not changed; its device is in $CATAMARAN_TEST_DISK
#   module:NAME   another module of the guest's kernel, loaded after those before it
#   GUEST_DIR     vmlinuz and initramfs.img as `./dev build` makes them; only the modules of the latter are
#                 used, and those named of its cache (or $GUEST_CACHE)
#
# Succeeds where every program did. The machine is emulated (TCG), so nothing of the host matters but qemu.
set -euo pipefail

fail() { echo "run_in_guest: $*" >&2; exit 1; }
[ $# -ge 2 ] || fail "usage: run_in_guest.sh GUEST_DIR PROGRAM..."
guest=$1
shift
for file in "$guest/vmlinuz" "$guest/initramfs.img"; do
  [ -f "$file" ] || fail "$file is missing: run ./dev build"
done
busybox=$(command -v busybox) || fail "busybox is missing: apt-get install busybox-static"
qemu=$(command -v qemu-system-x86_64) || fail "qemu is missing: apt-get install qemu-system-x86"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
tests=$scratch/root/tests
mkdir -p "$tests"
cp "$busybox" "$tests/busybox"
: >"$tests/list"
: >"$tests/modules"
disk=()
for argument in "$@"; do
  if [[ $argument == --* ]]; then
    sed -i "\$s|\$| $argument|" "$tests/list"
    continue
  fi
  if [[ $argument == disk:* ]]; then
    disk=(-device virtio-scsi-pci -device "scsi-hd,drive=disk"
      -drive "if=none,id=disk,format=raw,snapshot=on,file=${argument#disk:}")
    continue
  fi
  if [[ $argument == module:* ]]; then
    name=${argument#module:}
    file=$(find "${GUEST_CACHE:-$guest/cache}/linux-image-cloud-amd64" -name "$name.ko*" | head -1)
    [ -n "$file" ] || fail "the guest's kernel has no module $name"
    if [[ $file == *.xz ]]; then xz -dc "$file"; else cat "$file"; fi >"$tests/$name.ko"
    echo "$name.ko" >>"$tests/modules"
    continue
  fi
  program=${argument#with:}
  strip -o "$tests/$(basename "$program")" "$program"
  [[ $argument == with:* ]] || echo "$(basename "$argument")" >>"$tests/list"
done

# A root file system of its own first: pivot_root(2) does not work from the initial one.
cat >"$tests/init" <<'INIT'
#!/tests/busybox sh
/tests/busybox mkdir -p /root-of-tests /bin
/tests/busybox --install -s /bin
mount -t tmpfs -o mode=755 tests /root-of-tests
cd /root-of-tests
mkdir -p bin proc sys dev tmp etc run tests modules root var/tmp
chmod 1777 tmp var/tmp
cp -a /tests/. tests/
[ -d /modules ] && cp -a /modules/. modules/
exec switch_root /root-of-tests /tests/run
INIT
cat >"$tests/run" <<'RUN'
#!/tests/busybox sh
/tests/busybox --install -s /bin
export PATH=/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t mqueue mqueue /dev/mqueue 2>/dev/null
echo root:x:0:0:root:/root:/bin/sh >/etc/passwd
[ -f /modules/order ] && while read -r module; do insmod "/modules/$module" 2>/dev/null; done </modules/order
while read -r module; do insmod "/tests/$module"; done </tests/modules
[ ! -b /dev/sda ] || export CATAMARAN_TEST_DISK=/dev/sda
ifconfig lo 127.0.0.1 up
dmesg -n 1
echo "GUEST-KERNEL $(uname -r), cgroup v2: $(cat /sys/fs/cgroup/cgroup.controllers)"
while read -r name arguments; do
  "/tests/$name" --gtest_color=no --gtest_print_time=0 $arguments </dev/null
  echo "GUEST-RESULT $name $?"
done </tests/list
echo GUEST-END
poweroff -f
RUN
chmod +x "$tests/init" "$tests/run"
(cd "$scratch/root" && find . | cpio -o -H newc --owner=0:0 --quiet | zstd -q -1 >"$scratch/tests.img")
# The kernel unpacks archives one after another.
cat "$guest/initramfs.img" "$scratch/tests.img" >"$scratch/initramfs.img"

"$qemu" -accel tcg -machine q35 -cpu max -m 1024 -smp 2 -nodefaults -no-reboot -display none -serial stdio \
  -kernel "$guest/vmlinuz" -initrd "$scratch/initramfs.img" \
  -append "console=ttyS0 quiet panic=-1 rdinit=/tests/init" "${disk[@]}" </dev/null | tr -d '\r' | tee "$scratch/log"

grep -q '^GUEST-END$' "$scratch/log" || fail "the guest did not get to the end"
[ "$(grep -c '^GUEST-RESULT .* 0$' "$scratch/log")" = "$(wc -l <"$tests/list")" ] || fail "tests failed"
