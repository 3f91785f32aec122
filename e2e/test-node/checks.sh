#!/usr/bin/env bash
# What is proved in the node, as root inside of it: `./dev node check [NAME...]`. Each check is a line of
# its result; its output is in /var/log/catamaran-NAME.log there, and shown where it failed.
set -uo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../build"
# Emulated twice over, a virtual machine here takes minutes to boot: the ns hull is what is tried.
ns='On/*/ns'
failed=0 names=("$@")

wanted() { ((${#names[@]} == 0)) || [[ " ${names[*]} " == *" $1 "* ]]; }

# check NAME SECONDS COMMAND...
check() {
  local name=$1 limit=$2 start=$SECONDS status=0 log=/var/log/catamaran-$1.log skipped
  shift 2
  wanted "$name" || return 0
  timeout --kill-after=30 "$limit" "$@" >"$log" 2>&1 || status=$?
  skipped=$(grep -c '^\[  SKIPPED \] .*ms)$' "$log")
  printf '%-22s %5d s  %-6s %s\n' "$name" $((SECONDS - start)) "$( ((status)) && echo FAILED || echo ok)" \
    "$(grep -oE '^\[  PASSED  \] [0-9]+ tests?' "$log" | tail -1 | cut -c13-)$( ((skipped)) && echo ", $skipped skipped")"
  ((status == 0)) && return
  failed=1
  echo "exit code $status; the end of its output:"
  grep -vE '^\[ +(RUN|OK|SKIPPED) ' "$log" | tail -60
}

# The machine's own kernel interfaces: v2 alone, systemd, AppArmor, quotas.
check cgroups 300 tests/sandbox_cgroup_kernel_test
check systemd-bus 120 tests/cri_systemd_bus_test
check apparmor 120 tests/cri_apparmor_test
check writable-limit 120 tests/cri_pods_writable_limit_test
check confinement 300 tests/sandbox_confinement_kernel_test
check engine 1500 tests/namespace_backend_test
# The daemon, as an administrator and a kubelet meet it.
printf 'handlers: [{name: ns, backend: ns}]\nnetwork: builtin\nroot: /var/lib/c\nrun: /run/c\n' >/tmp/doctor.yaml
check doctor 120 bin/catamaran doctor --config /tmp/doctor.yaml
printf 'cgroup_driver: systemd\n' >>/tmp/doctor.yaml
check doctor-systemd 120 bin/catamaran doctor --config /tmp/doctor.yaml
# Not here: what sends gigabytes or thousands of sessions, which is emulation's speed alone.
check e2e-cgroupfs 3600 tests/e2e_test --gtest_filter="$ns-*KillCounter*:*Streaming*:*/Systemd.*"
export CATAMARAN_E2E_CGROUP_DRIVER=systemd
check e2e-systemd-driver 900 tests/e2e_test --gtest_filter="On/Systemd.*/ns:SystemdDriver.*"
check e2e-systemd 3600 tests/e2e_test --gtest_filter="$ns-*KillCounter*:*Streaming*:*/Systemd.*"
exit $failed
