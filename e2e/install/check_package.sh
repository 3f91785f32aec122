#!/usr/bin/env bash
# Installs, upgrades, removes and purges the Debian package on this machine, a Debian 12 that has none, with
# pods running where that matters. With systemd the unit is checked, without it the daemon is started by hand.
# Needs the network for Debian's packages. Leaves nothing behind.
# usage: check_package.sh FOLDER
#   FOLDER: old.deb, new.deb (of a later version), install_client, busybox/ (an OCI layout), node.oci.tar;
#   guest-cache/, a downloaded kernel, where this machine has no network
set -euo pipefail
files=$(readlink -f "$1")
export DEBIAN_FRONTEND=noninteractive
socket=/run/catamaran/catamaran.sock logs=/var/log/install-check
systemd=; [[ ! -d /run/systemd/system ]] || systemd=1
# Without systemd the daemon gets a network of its own: its rules and links are not this machine's.
net=/run/install-check.net

. "$(dirname "$(readlink -f "$0")")/checking.sh"
client() { "$files/install_client" "$socket" "$@"; }
dpkg_of() { dpkg "$@" 2>&1 | tee "$files/dpkg.log"; }

serves() { [[ -S $socket ]] && client version >/dev/null 2>&1; }
# start_daemon: what the unit does where there is one.
start_daemon() {
  if [[ -n $systemd ]]; then
    systemctl restart catamaran
  else
    [[ -e $net ]] || { touch "$net"; unshare --net="$net" ip link set lo up; }
    setsid nsenter --net="$net" catamaran serve >>"$files/daemon.log" 2>&1 </dev/null &
    daemon=$!
  fi
  eventually 60 serves
}
stop_daemon() {
  if [[ -n $systemd ]]; then
    systemctl stop catamaran
  else
    kill -TERM "$daemon"
    wait "$daemon" || true
  fi
}
daemon_left() { if [[ -n $systemd ]]; then ! systemctl --quiet is-active catamaran; else ! kill -0 "$daemon" 2>/dev/null; fi; }

check_installed() {
  say "install"
  apt-get install -y --no-install-recommends "$files/old.deb" >"$files/apt.log" 2>&1 || { tail -20 "$files/apt.log"; die "apt-get install"; }
  grep -q 'next: catamaran guest build' "$files/apt.log" || die "the package does not say what is next"
  [[ $(catamaran --version) == "$(dpkg-query -W -f '${Version}' catamaran)" ]] || die "another version than the package's"
  [[ $(dpkg-query -W -f '${Conffiles}' catamaran) == *" /etc/catamaran/config.yaml "* ]] || die "no conffile"
  catamaran config check
  for page in man8/catamaran.8 man5/catamaran-config.5; do
    # minbase leaves manuals out.
    dpkg -L catamaran | grep -q "/$page.gz" || die "no $page"
  done
  if [[ -n $systemd ]]; then
    systemctl --quiet is-enabled catamaran || die "the unit is not enabled"
    eventually 60 serves
    expect '^KillMode=process$' systemctl show catamaran -p KillMode
    expect '^Delegate=yes$' systemctl show catamaran -p Delegate
    expect '^TasksMax=infinity$' systemctl show catamaran -p TasksMax
    expect '^RuntimeDirectoryPreserve=yes$' systemctl show catamaran -p RuntimeDirectoryPreserve
    local pid
    pid=$(systemctl show catamaran -p MainPID --value)
    [[ $(readlink "/proc/$pid/ns/mnt") == "$(readlink /proc/1/ns/mnt)" ]] || die "the daemon has a mount namespace of its own"
    expect 700 stat -c %a /run/catamaran
    expect 700 stat -c %a /var/lib/catamaran
  fi
}

check_guest() {
  say "guest build"
  expect 'guest kernel .*/var/lib/catamaran/guest/vmlinuz' catamaran doctor
  expect 'catamaran guest build' catamaran doctor
  expect 'next: catamaran guest build' catamaran guest build --offline
  # Where there is no network: a kernel that was downloaded elsewhere.
  [[ ! -d $files/guest-cache ]] || { mkdir -p /var/lib/catamaran/guest && cp -r "$files/guest-cache" /var/lib/catamaran/guest/cache; }
  catamaran guest build
  expect 'ok +guest kernel .*: Linux 6.1' catamaran doctor
  expect 'ok +guest agent ' catamaran doctor
  expect 'the guest is in /var/lib/catamaran/guest: Linux 6.1' catamaran guest build
}

# What an administrator writes, kept by the upgrade.
configure() {
  cat >>/etc/catamaran/config.yaml <<TEXT
network: builtin
allow_emulation: true
cgroup_root: ${CATAMARAN_CHECK_CGROUP:-/catamaran-install-check}
TEXT
  catamaran config check
}

# run_pods HANDLER...: in $pods and $containers.
run_pods() {
  pods=() containers=()
  local handler answer
  for handler; do
    answer=$(client run "pod-$handler" "$handler" "$logs/$handler")
    pods+=("${answer% *}") containers+=("${answer#* }")
    client exec "${answer#* }" sh -c 'echo of before >/mark'
    say "a pod on $handler runs"
  done
  [[ $(catamaran node pods | wc -l) == "$#" ]] || die "catamaran node pods: $(catamaran node pods)"
}
check_pods() {
  local container
  for container in "${containers[@]}"; do
    expect '^of before$' client exec "$container" cat /mark
  done
}
remove_pods() {
  local pod
  for pod in "${pods[@]}"; do client remove "$pod"; done
}

check_upgrade() {
  say "upgrade"
  dpkg_of -i "$files/new.deb"
  [[ $(dpkg-query -W -f '${Version}' catamaran) == *+next ]] || die "not upgraded"
  grep -q '^allow_emulation: true' /etc/catamaran/config.yaml || die "the upgrade took the configuration"
  [[ -s /var/lib/catamaran/guest/initramfs.img ]] || die "no guest any more"
  if [[ -z $systemd ]]; then
    # What the unit's restart does.
    kill -TERM "$daemon"
    wait "$daemon" || true
    start_daemon
  fi
  eventually 60 serves
  [[ $(client version) == *+next ]] || die "the older daemon still serves: $(client version)"
  check_pods
}

# The installer's image as a pod of this daemon, on a folder that is a node.
check_installer() {
  say "installer"
  local node=$files/node
  mkdir -p "$node/etc" "$node/usr/local/bin"
  catamaran image load "$files/node.oci.tar"
  local job=(client job "catamaran/node:$(sed -n 's/.*catamaran\/node:\([^"]*\)".*/\1/p' <(tar -xOf "$files/node.oci.tar" index.json) | head -1)")
  "${job[@]}" "$node" "$logs/job" node install --host /host --kubelet next | tee "$files/job.log"
  grep -q 'stdout F put the programs into /host/opt/catamaran' "$files/job.log" || die "nothing was installed"
  "$node/opt/catamaran/bin/catamaran" --version >/dev/null
  grep -q '^ExecStart=/opt/catamaran/bin/catamaran serve' "$node/etc/systemd/system/catamaran.service"
  grep -q -- '--container-runtime-endpoint=unix:///run/catamaran/catamaran.sock' \
    "$node/etc/systemd/system/kubelet.service.d/90-catamaran.conf"
  [[ $(readlink "$node/usr/local/bin/catamaran") == /opt/catamaran/bin/catamaran ]]
  "${job[@]}" "$node" "$logs/job2" node install --host /host --kubelet next >"$files/job.log" ||
    { cat "$files/job.log"; die "a second install fails"; }
  ! grep -E 'wrote|put the' "$files/job.log" || die "a second install changes something"
  "${job[@]}" "$node" "$logs/job3" node remove --host /host --purge
  [[ -z $(find "$node" -not -type d) ]] || die "left on the node: $(find "$node" -not -type d)"
  rm -rf "$node"
}

check_remove_with_pods() {
  say "remove with pods running"
  dpkg_of -r catamaran
  grep -q "pods that still run: ${#pods[@]}. They are left alone" "$files/dpkg.log" || die "it does not say that pods run"
  absent /usr/bin/catamaran /usr/lib/catamaran
  check_pods
  say "drain"
  remove_pods
  if [[ -n $systemd ]]; then eventually 60 daemon_left; else stop_daemon; fi
  [[ -e /etc/catamaran/config.yaml && -d /var/lib/catamaran ]] || die "a removal is no purge"
}

check_purge() {
  say "purge"
  rm -rf /run/catamaran-leaving  # without systemd the drained pods' mark stays until a boot
  dpkg_of -P catamaran
  check_nothing_left
}

# Whatever has our name on this machine.
named_files() { find /etc /usr /lib /var/lib /run -xdev -iname '*catamaran*' -not -path '/var/lib/apt/*' 2>/dev/null | sort || true; }

check_nothing_left() {
  absent /var/lib/catamaran /run/catamaran /run/catamaran-leaving /etc/catamaran /usr/lib/catamaran /usr/bin/catamaran
  local left
  left=$(comm -13 <(echo "$before") <(named_files))
  [[ -z $left ]] || die "left behind: $left"
}

check_purge_with_pods() {
  say "purge with a pod running"
  dpkg_of -i "$files/new.deb"
  configure
  start_daemon
  catamaran image load "$files/busybox"
  run_pods ns
  dpkg_of -P catamaran
  grep -q 'pods still run: /var/lib/catamaran' "$files/dpkg.log" || die "it does not say that pods run"
  check_pods
  remove_pods
  if [[ -n $systemd ]]; then
    eventually 60 daemon_left
    eventually 30 test ! -e /var/lib/catamaran
  else
    stop_daemon
    rm -rf /var/lib/catamaran /run/catamaran* /etc/catamaran
  fi
  check_nothing_left
}

daemon=
trap '[[ -z $daemon ]] || kill -TERM "$daemon" 2>/dev/null || true' EXIT
rm -rf "$logs" && mkdir -p "$logs"
before=$(named_files)
check_installed
check_guest
configure
start_daemon
catamaran image load "$files/busybox"
run_pods ${CATAMARAN_CHECK_HANDLERS:-ns vm}
check_pods
check_upgrade
check_installer
check_remove_with_pods
check_purge
check_purge_with_pods
rm -rf "$logs"
rmdir /sys/fs/cgroup/catamaran-install-check 2>/dev/null || true
say "the package is installed, upgraded, removed and purged as it should be"
