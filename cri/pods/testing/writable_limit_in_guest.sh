#!/usr/bin/env bash
# Runs the test of writable limits in a guest, on an ext4 with project quotas that is made here.
#
# usage: writable_limit_in_guest.sh GUEST_DIR TEST
set -euo pipefail

[ $# -eq 2 ] || { echo "usage: writable_limit_in_guest.sh GUEST_DIR TEST" >&2; exit 2; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
truncate -s 64M "$scratch/disk"
mkfs.ext4 -q -O project,quota -E quotatype=prjquota "$scratch/disk"
"$(dirname "${BASH_SOURCE[0]}")/../../../sandbox/guest/run_in_guest.sh" "$1" "disk:$scratch/disk" \
  module:quota_tree module:quota_v2 "$2" | tee "$scratch/log"
# What the machine has everything for must not be skipped.
! grep -q SKIPPED "$scratch/log"
