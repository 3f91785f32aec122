#!/usr/bin/env bash
# The test node: a Debian 12 machine in QEMU with systemd as process 1, cgroup v2 alone, AppArmor and
# project quotas, with this tree at its own path (read-only). See README.md.
#
# usage: node.sh up              start it: from the template, which is made where there is none
#        node.sh run COMMAND...  run a command in it, in this tree's folder; its exit code is ours
#        node.sh check [NAME...] what is proved in it: checks.sh, or some of it
#        node.sh shell           a login there
#        node.sh down            end it; what was written in it is gone
# environment: CATAMARAN_NODE_BUILD (build): the folder of programs, mounted there in this tree's build/
#              CATAMARAN_NODE_SELINUX=1: SELinux in AppArmor's place, permissive; a template of its own
#              CATAMARAN_NODE_FOLDER (/var/cache/catamaran/test-node), CATAMARAN_NODE_MEMORY (4096, MiB),
#              CATAMARAN_NODE_BOOT_SECONDS (600)
set -euo pipefail
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
tree=$(readlink -f "$here/../..")
folder=${CATAMARAN_NODE_FOLDER:-/var/cache/catamaran/test-node}
memory=${CATAMARAN_NODE_MEMORY:-4096}
boot_seconds=${CATAMARAN_NODE_BOOT_SECONDS:-600}
build=$(readlink -m "${CATAMARAN_NODE_BUILD:-$tree/build}")
programs=$folder/programs # Kubernetes' own, for the node
run=$folder/run           # of the machine that runs: process id, port, console, monitor
template=$folder/template # disk and saved state of one that has booted
security="apparmor=1 security=apparmor"
[[ -z ${CATAMARAN_NODE_SELINUX:-} ]] || security="selinux=1 security=selinux" template=$template-selinux

say() { echo "node: $*" >&2; }
# What QEMU and the console said last, where there is anything.
fail() {
  say "$*"
  for log in "$run/qemu.log" "$run/console.log"; do
    [[ ! -s $log ]] || { echo "--- end of $log" >&2; tail -n 25 "$log" | tr -d '\r' >&2; }
  done
  exit 1  # of a subshell maybe: what is half started is ended by `up`
}

# timed NAME COMMAND...
timed() {
  local name=$1 start=$EPOCHREALTIME
  shift
  "$@"
  say "$name: $(awk "BEGIN { printf \"%.1f\", $EPOCHREALTIME - $start }") s"
}

is_running() { [[ -s $run/pid ]] && kill -0 "$(<"$run/pid")" 2>/dev/null; }

# Decided by our own probe where it is built: opening /dev/kvm proves nothing.
accelerator() {
  local answer=
  # What it finds first; the rest is not waited for.
  [[ ! -w /dev/kvm ]] || answer=$("$build/bin/catamaran-shim" probe --of vm --patience 10 2>&1 | head -1 || true)
  if [[ $answer == *'"name":"accelerator"'* && $answer == *'"status":"ok"'* ]]; then echo kvm; else echo tcg; fi
}

# qmp COMMAND: a JSON text to QEMU's monitor; prints its answer, one line.
qmp() {
  local line
  echo "$1" >"$run/monitor.in"
  while IFS= read -r -t 60 line <&"$answers"; do
    [[ $line == *'"event":'* ]] || { echo "$line"; return; }
  done
  fail "QEMU does not answer to $1"
}
execute() { qmp "{\"execute\": \"$1\"${2:+, \"arguments\": {$2\}}}"; }

# start_qemu DISK [OPTION...]: leaves $answers open on its monitor.
start_qemu() {
  local disk=$1 cpu=qemu64 kind share shares=()
  shift
  for share in tree build programs; do
    shares+=(-fsdev "local,id=$share,path=${!share},security_model=none,readonly=on,multidevs=remap"
      -device "virtio-9p-pci,fsdev=$share,mount_tag=$share")
  done
  kind=$(<"$run/accelerator")
  [[ $kind == tcg ]] || cpu=host
  mkfifo "$run/monitor.in" "$run/monitor.out"
  # TMPDIR: where a disk's changes go with snapshot=on.
  TMPDIR=$run setsid qemu-system-x86_64 -nodefaults -no-user-config -display none -name catamaran-node \
    -machine q35 -accel "$kind$([[ $kind == kvm ]] || echo ,thread=multi)" -cpu $cpu -smp 2 -m "$memory" \
    -kernel "$folder/vmlinuz" -initrd "$folder/initrd.img" \
    -append "root=/dev/vda rw rootflags=prjquota console=ttyS0 net.ifnames=0 psi=1 $security" \
    -drive "$disk,if=virtio,format=raw,cache=unsafe" \
    -nic "user,model=virtio-net-pci,restrict=on,hostfwd=tcp:127.0.0.1:0-:22" \
    "${shares[@]}" -device virtio-rng-pci -serial "file:$run/console.log" \
    -chardev "pipe,id=monitor,path=$run/monitor" -mon chardev=monitor,mode=control \
    "$@" </dev/null >"$run/qemu.log" 2>&1 &
  echo $! >"$run/pid"
  disown
  exec {answers}<>"$run/monitor.out"
  [[ $(execute qmp_capabilities) == *QMP* && $(qmp '') == *return* ]] || fail "QEMU did not start"
  execute human-monitor-command '"command-line": "info usernet"' |
    sed -n 's/.*HOST_FORWARD\] *[0-9]* *127.0.0.1 *\([0-9]*\).*/\1/p' >"$run/port"
  [[ -s $run/port ]] || fail "QEMU forwards no port"
}

ssh_to_node() {
  ssh -i "$folder/key" -p "$(<"$run/port")" -o LogLevel=ERROR -o StrictHostKeyChecking=no \
    -o UserKnownHostsFile=/dev/null -o BatchMode=yes -o ControlMaster=auto -o ControlPersist=yes \
    -o ControlPath="$run/ssh" -o ConnectTimeout=60 root@127.0.0.1 "$@"
}

wait_for_login() {
  local until=$((SECONDS + boot_seconds))
  until grep -qs 'login:' "$run/console.log"; do
    is_running || fail "the machine ended while it booted"
    ((SECONDS < until)) || fail "no login on the console after $boot_seconds s"
    sleep 0.5
  done
}

wait_for_services() {
  # "degraded" names what failed, which is no reason to go without the node.
  local state
  state=$(ssh_to_node systemctl is-system-running --wait || true)
  [[ $state == running ]] || say "systemd says: $state: $(ssh_to_node systemctl --failed --plain --no-legend | tr '\n' ';')"
}

forget_run() {
  rm -rf "$run"
  mkdir -p "$run"
  accelerator >"$run/accelerator"
  echo "$security, $build" >"$run/kind"
}

end_machine() {
  ! is_running || { kill "$(<"$run/pid")"; while is_running; do sleep 0.1; done; }
}

stop() {
  end_machine
  rm -rf "$run"
}

# What the disk is made from, and what the template is made from besides.
root_inputs() { cat "$here/make-root.sh" "$here/container.cil" | sha256sum | cut -c1-64; }
template_inputs() {
  echo "$(<"$folder/root.stamp") $(declare -f start_qemu | sha256sum | cut -c1-64) $memory $(<"$run/accelerator") $security" \
    "$(qemu-system-x86_64 --version | head -1) $tree"
}

make_root() {
  [[ -s $folder/root.img && $(cat "$folder/root.stamp" 2>/dev/null) == "$(root_inputs)" ]] && return
  say "making Debian's root file system (some minutes, once)"
  rm -rf "$folder"/template* # of the former one, whose key is another
  "$here/make-root.sh" "$folder" || exit 1
  root_inputs >"$folder/root.stamp"
}

# until_qmp SECONDS COMMAND TEXT: asks again until the answer holds the text.
until_qmp() {
  local until=$((SECONDS + $1)) answer
  until answer=$(execute "$2") && [[ $answer == *"$3"* ]]; do
    ((SECONDS < until)) && [[ $answer != *failed* ]] || fail "QEMU: $2: no $3 after $1 s: $answer"
    sleep 0.1
  done
}

save_state() {
  execute stop >/dev/null
  execute migrate "\"uri\": \"exec:cat >$template.new/state\"" >/dev/null
  until_qmp 300 query-migrate '"completed"'
  execute quit >/dev/null
}

make_template() {
  rm -rf "$template" "$template.new"
  mkdir -p "$template.new"
  timed "copy of the disk" cp --sparse=always "$folder/root.img" "$template.new/disk.img"
  start_qemu "file=$template.new/disk.img"
  timed "boot" wait_for_login
  timed "services" wait_for_services
  ssh -O exit -o ControlPath="$run/ssh" root@127.0.0.1 2>/dev/null || true
  timed "template" save_state
}

restore() {
  start_qemu "file=$template/disk.img,snapshot=on" -incoming "exec:cat $template/state"
  until_qmp 120 query-status '"paused"'
  execute cont >/dev/null
}

# The clock stands where the template was made; 9p is mounted only now, as no machine that has it
# mounted can be saved.
settle() {
  local options=trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro
  ssh_to_node "date -s @$(date +%s.%N) >/dev/null && modprobe 9p && mkdir -p '$tree' '$programs' &&
    mount -t 9p -o $options tree '$tree' && mount -t 9p -o $options build '$tree/build' &&
    mount -t 9p -o $options programs '$programs'" || fail "the node does not answer"
}

# in_tree SHELL_COMMAND: what was cached of this tree may have been built anew since.
in_tree() { ssh_to_node "echo 3 >/proc/sys/vm/drop_caches; cd '$tree' && $1"; }

up() {
  if is_running; then
    [[ $(<"$run/kind") == "$security, $build" ]] || { say "one with $(<"$run/kind") runs: ./dev node down" && exit 1; }
    return
  fi
  [[ $EUID == 0 ]] || fail "must be root"
  mkdir -p "$folder" "$programs" "$tree/build"
  [[ -d $build ]] || fail "no folder $build: build first"
  forget_run
  make_root
  trap '(($? == 0)) || end_machine' EXIT
  if [[ $(cat "$template/stamp" 2>/dev/null) != "$(template_inputs)" ]]; then
    say "making the template of a booted node ($(<"$run/accelerator"))"
    make_template
    local inputs
    inputs=$(template_inputs)
    mv "$template.new" "$template"
    echo "$inputs" >"$template/stamp"
    stop
    forget_run
  fi
  timed "restored" restore
  timed "settled" settle
  trap - EXIT
}

# share PROGRAM...: into the folder that the node sees.
share() {
  local program
  for program; do
    cmp -s "$program" "$programs/${program##*/}" || cp "$program" "$programs/"
  done
}

# The kubelet and the tests of it, which are built here: the node has no Go.
build_kubelet() {
  local kubernetes
  kubernetes=$("$tree/e2e/cluster/build.sh" kubelet)
  "$tree/e2e/cluster/run.sh" "$build" kubelet -test.list . >/dev/null
  share "$kubernetes/kubelet"
}

# A whole cluster and Kubernetes' own suite.
build_conformance() {
  local kubernetes
  "$tree/e2e/cluster/conformance/run.sh" "$build" ns -help >/dev/null
  kubernetes=$("$tree/e2e/cluster/build.sh" cluster ginkgo e2e.test)
  share "$kubernetes"/*
}

case ${1:-} in
  up) up ;;
  run)
    [[ $# -gt 1 ]] || fail "usage: node.sh run COMMAND..."
    up
    in_tree "$(printf '%q ' "${@:2}")"
    ;;
  check)
    [[ $# -gt 1 && " ${*:2}" != *" kubelet"* ]] || build_kubelet
    [[ " ${*:2} " != *" conformance "* ]] || build_conformance
    up
    in_tree "CATAMARAN_KUBERNETES='$programs' $(printf '%q ' "$here/checks.sh" "${@:2}")"
    ;;
  shell)
    up
    ssh_to_node -t "cd '$tree' && exec bash -l"
    ;;
  down) stop ;;
  *) sed -n 's/^# \?//;5,15p' "$0" >&2 && exit 2 ;;
esac
