#!/usr/bin/env bash
# What is proved in the node, as root inside of it: `./dev node check [NAME...]`. Each check is a line of
# its result; its output is in /var/log/catamaran-NAME.log there, and shown where it failed.
set -uo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../build"
# Emulated twice over, a virtual machine here takes minutes to boot: the ns hull is what is tried.
ns='On/*/ns'
failed=0 names=("$@")

wanted() { ((${#names[@]} == 0)) || [[ " ${names[*]} " == *" $1 "* ]]; }
# counted LOG: how many tests passed and were skipped, by GoogleTest or by Go.
counted() {
  local passed skipped
  passed=$(grep -oE '^\[  PASSED  \] [0-9]+ tests?' "$1" | tail -1 | cut -c13-)
  skipped=$(grep -c '^\[  SKIPPED \] .*ms)$' "$1")
  ! grep -q '^ *--- PASS' "$1" || passed="$(grep -c '^ *--- PASS' "$1") tests"
  echo "$passed$( ((skipped)) && echo ", $skipped skipped")"
}

# check NAME SECONDS COMMAND...
check() {
  local name=$1 limit=$2 start=$SECONDS status=0 log=/var/log/catamaran-$1.log
  shift 2
  wanted "$name" || return 0
  timeout --kill-after=30 "$limit" "$@" >"$log" 2>&1 || status=$?
  printf '%-22s %5d s  %-6s %s\n' "$name" $((SECONDS - start)) "$( ((status)) && echo FAILED || echo ok)" "$(counted "$log")"
  ((status == 0)) && return
  failed=1
  echo "exit code $status; the end of its output:"
  grep -vE '^\[ +(RUN|OK|SKIPPED) ' "$log" | tail -60
}
# check_if_named NAME SECONDS COMMAND...: not one of all.
check_if_named() { ((${#names[@]} == 0)) || check "$@"; }

# A machine in this machine: one pod, which boots.
vm_pod() {
  set -e
  local socket=/run/vm/catamaran.sock pod client=tests/install_client
  mkdir -p -m 0700 /run/vm
  printf '%s\n' "listen: unix://$socket" 'root: /var/lib/vm' 'run: /run/vm' 'network: builtin' 'allow_emulation: true' \
    "handlers: [{name: vm, backend: vm, machine: {kernel: $PWD/guest/vmlinuz, initramfs: $PWD/guest/initramfs.img,
      writable_disk: $PWD/guest/writable.img, template: off}}]" \
    'default_handler: vm' >/tmp/vm.yaml
  bin/catamaran serve --config /tmp/vm.yaml &
  trap 'kill %1; wait' EXIT
  until [[ -S $socket ]]; do sleep 1; done
  $client - image /tmp/vm-busybox
  bin/catamaran image load --config /tmp/vm.yaml /tmp/vm-busybox
  time pod=$($client $socket run pod vm /tmp/vm-logs)
  time $client $socket exec "${pod#* }" uname -a
  time $client $socket remove "${pod% *}"
}

printf 'handlers: [{name: ns, backend: ns}]\nnetwork: builtin\nroot: /var/lib/c\nrun: /run/c\n' >/tmp/doctor.yaml
# With SELinux in AppArmor's place (CATAMARAN_NODE_SELINUX=1) what is tried is labels, first while the
# policy only takes notes, then while it refuses.
if [[ -e /sys/fs/selinux/enforce ]]; then
  check confinement 300 tests/sandbox_confinement_kernel_test
  check engine 1500 tests/namespace_backend_test
  check doctor 120 bin/catamaran doctor --patience 30 --config /tmp/doctor.yaml
  # At the level of a unit's programs: a login's has all categories, and so would what containers write to.
  labels=(runcon -l s0 bash -c "tests/e2e_test --gtest_filter='On/SelinuxLabels.*/ns'")
  check selinux 900 "${labels[@]}"
  setenforce 1
  check selinux-enforcing 900 "${labels[@]}"
  setenforce 0
  exit $failed
fi

# The machine's own kernel interfaces: v2 alone, systemd, AppArmor, quotas.
check cgroups 300 tests/sandbox_cgroup_kernel_test
check systemd-bus 120 tests/cri_systemd_bus_test
check apparmor 120 tests/cri_apparmor_test
check writable-limit 120 tests/cri_pods_writable_limit_test
check confinement 300 tests/sandbox_confinement_kernel_test
check engine 1500 tests/namespace_backend_test
# What checkpoints of containers would need of this kernel; doctor asks it too, nothing else does.
check criu 120 criu check
# The daemon, as an administrator and a kubelet meet it.
check doctor 120 bin/catamaran doctor --patience 30 --config /tmp/doctor.yaml
printf 'cgroup_driver: systemd\n' >>/tmp/doctor.yaml
check doctor-systemd 120 bin/catamaran doctor --patience 30 --config /tmp/doctor.yaml
# Not here: what sends gigabytes or thousands of sessions, which is emulation's speed alone.
check e2e-cgroupfs 3600 tests/e2e_test --gtest_filter="$ns-*KillCounter*:*Streaming*:*/Systemd.*"
export CATAMARAN_E2E_CGROUP_DRIVER=systemd
check e2e-systemd-driver 900 tests/e2e_test --gtest_filter="On/Systemd.*/ns:SystemdDriver.*"
check e2e-systemd 3600 tests/e2e_test --gtest_filter="$ns-*KillCounter*:*Streaming*:*/Systemd.*"
# A daemon or shim that dies at every fourth of its steps: each takes two new daemons, emulated.
check kill-systemd 1800 env CATAMARAN_E2E_STRIDE=4 tests/e2e_test \
  --gtest_filter='On/KillCounter.ConvergesAfterThe*DiesAtAnyStep/ns'
# The real kubelet, built by node.sh.
kubelet=(env "CATAMARAN_PROGRAMS=$PWD/bin" "CATAMARAN_MANIFESTS=$PWD/../manifests"
  tests/kubelet_on_node_test -test.v -test.timeout=25m -test.run '/^ns$')
check kubelet-systemd 1600 "${kubelet[@]}"
export CATAMARAN_E2E_CGROUP_DRIVER=cgroupfs
check kubelet 1600 "${kubelet[@]}"
# Specs that need what other machines here lack: see the table.
check_if_named conformance 7200 env CATAMARAN_E2E_CGROUP_DRIVER=systemd tests/conformance -programs "$PWD/bin" \
  -kubernetes "$CATAMARAN_KUBERNETES" -table "$PWD/../e2e/cluster/conformance/ns-debian.tsv" -known -procs 1
check_if_named vm 2700 bash -c "$(declare -f vm_pod); vm_pod"
exit $failed
