#!/usr/bin/env bash
# Runs a static program as root in a guest of its own and returns its exit code: how the engine's own
# tests, written for the kernel they run on, meet a cgroup v2 kernel on a cgroup v1 machine.
#
# usage: run-in-guest.sh GUEST_DIR INIT PROGRAM [ARGUMENT...]
#   GUEST_DIR  what build-guest.sh made
#   INIT       catamaran-guest-runner: sets the guest up as the agent does, then runs /payload
#   PROGRAM    static
# environment: GUEST_MEMORY_MIB (512), GUEST_TIMEOUT seconds (900)
set -euo pipefail

fail() { echo "run-in-guest: $*" >&2; exit 1; }
[ $# -ge 3 ] || fail "usage: run-in-guest.sh GUEST_DIR INIT PROGRAM [ARGUMENT...]"
guest=$1 init=$2 program=$3
shift 3
for file in "$guest/vmlinuz" "$guest/initramfs.img" "$init" "$program"; do
  [ -r "$file" ] || fail "$file is missing"
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/root"
cp "$init" "$work/root/init"
cp "$program" "$work/root/payload"
printf '%s\0' "$@" >"$work/root/payload-arguments"
# The kernel unpacks archives one after the other, and a later file of the same name wins.
(cd "$work/root" && find . -mindepth 1 | cpio -o -H newc --owner=0:0 --quiet | zstd -q -3) >"$work/payload.img"
cat "$guest/initramfs.img" "$work/payload.img" >"$work/initramfs.img"

timeout "${GUEST_TIMEOUT:-900}" qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot \
  -machine q35 -accel tcg,tb-size=128 -cpu qemu64,-svm,+ssse3,+sse4.1,+sse4.2,+popcnt,+rdrand \
  -m "${GUEST_MEMORY_MIB:-512}" -serial stdio -device virtio-net-pci,romfile= \
  -kernel "$guest/vmlinuz" -initrd "$work/initramfs.img" \
  -append "console=ttyS0 quiet loglevel=3 panic=-1 no_timer_check mitigations=off cgroup_no_v1=all" |
  tr -d '\r' | tee "$work/output"

code=$(sed -n 's/^guest-runner: exit code \([0-9]*\)$/\1/p' "$work/output" | tail -1)
[ -n "$code" ] || fail "the guest ended without running the program to its end"
exit "$code"
