#!/usr/bin/env bash
# installer.yaml's pods on a node with systemd whose real kubelet has another runtime: they bring Catamaran
# onto it, the kubelet changes to it at its next start, and they take it off again with pods running. The other
# runtime is a Catamaran of its own places, the pods are static ones: what a DaemonSet's would be, without an
# API server. Leaves nothing behind.
# usage: check_installer.sh FOLDER PROGRAMS KUBELET
#   FOLDER: node.oci.tar, installer.yaml, 10-bridge.conflist, busybox/ (an OCI layout), install_client
#   PROGRAMS: of the other runtime (catamaran, catamaran-shim)
set -euo pipefail
files=$(readlink -f "$1") programs=$(readlink -f "$2") kubelet=$(readlink -f "$3")
. "$(dirname "$(readlink -f "$0")")/checking.sh"
pods=/etc/kubernetes/manifests
other=/run/other/catamaran.sock own=/run/catamaran/catamaran.sock
drop_in=/etc/systemd/system/kubelet.service.d/90-catamaran.conf

# The unit as Kubernetes' packages have it, for a kubelet without an API server.
configure_kubelet() {
  mkdir -p $pods /var/lib/kubelet /etc/cni/net.d
  cp "$files/10-bridge.conflist" /etc/cni/net.d/
  cat >/var/lib/kubelet/config.yaml <<TEXT
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix://$other
cgroupDriver: systemd
staticPodPath: $pods
fileCheckFrequency: 1s
syncFrequency: 5s
readOnlyPort: 10255
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
failSwapOn: false
TEXT
  cat >/etc/systemd/system/kubelet.service <<TEXT
[Service]
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
EnvironmentFile=-/etc/default/kubelet
ExecStart=$kubelet \$KUBELET_KUBECONFIG_ARGS \$KUBELET_CONFIG_ARGS \$KUBELET_KUBEADM_ARGS \$KUBELET_EXTRA_ARGS
Restart=always
KillMode=process
TEXT
  # As its administrator would for a kubelet with this driver; an installation keeps it.
  mkdir -p /etc/catamaran
  printf 'cgroup_driver: systemd\n' >/etc/catamaran/config.yaml
}

start_other_runtime() {
  printf 'listen: unix://%s\nroot: /var/lib/other\nrun: /run/other\ncgroup_driver: systemd\ncgroup_root: /other.slice\n' \
    $other >/etc/other.yaml
  printf 'handlers: [{name: ns, backend: ns}]\n' >>/etc/other.yaml
  mkdir -p -m 0700 /run/other /var/lib/other
  systemd-run --quiet --collect --unit=other-runtime --property=KillMode=process --property=Delegate=yes --property=Type=notify \
    "$programs/catamaran" serve --config /etc/other.yaml
  "$programs/catamaran" image load --config /etc/other.yaml "$files/node.oci.tar"
  "$programs/catamaran" image load --config /etc/other.yaml "$files/busybox"
}

# pod_of DAEMONSET: its pod, as a static one.
pod_of() {
  printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: %s, namespace: kube-system}\n' "$1"
  awk -v name="name: $1\n" 'BEGIN { RS = "---\n" } index($0, name)' "$files/installer.yaml" |
    sed -n '/^    spec:/,$ s/^    //p' | sed '/nodeSelector/d; /priorityClassName/d'
}
web_pod() {
  cat <<TEXT
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: default}
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - name: web
      image: docker.io/library/busybox:1
      command: [sh, -c, "echo served >/tmp/index.html; exec httpd -f -p 80 -h /tmp"]
      readinessProbe: {httpGet: {path: /index.html, port: 80}, periodSeconds: 1}
TEXT
}

# is_ready POD: what the kubelet says of it.
is_ready() {
  busybox wget -q -O - http://127.0.0.1:10255/pods 2>/dev/null | tr -d '\n' |
    grep -oE "\"name\":\"$1-catamaran-node\".*" | sed 's/"kind":"Pod".*//; s/"metadata":{"name".*//' |
    grep -q '"type":"Ready"[^}]*"status":"True"'
}
# drain SOCKET: as kubectl drain does, with no kubelet to start them again.
drain() {
  local pod
  systemctl stop kubelet
  # Where Catamaran leaves, its daemon ends with the last pod that is stopped and need not live to remove it.
  for pod in $("$files/install_client" "$1" pods); do "$files/install_client" "$1" remove "$pod" || true; done
}
uses() { [[ $(systemctl show kubelet -p Environment) == *"unix://$own"* ]]; }

install_by_pod() {
  say "the kubelet on the other runtime"
  web_pod >$pods/web.yaml
  systemctl daemon-reload
  systemctl start kubelet
  eventually 900 is_ready web
  say "the installer's pod"
  pod_of catamaran-install >$pods/installer.yaml
  eventually 900 is_ready catamaran-install
  [[ $(/opt/catamaran/bin/catamaran --version) == "$("$programs/catamaran" --version)" ]] || die "another version"
  [[ $(readlink /usr/local/bin/catamaran) == /opt/catamaran/bin/catamaran ]] || die "no link"
  systemctl --quiet is-active catamaran || die "the unit does not run"
  systemctl --quiet is-enabled catamaran || die "the unit is not enabled"
  grep -q '^cgroup_driver: systemd' /etc/catamaran/config.yaml || die "it took the configuration"
  expect "^ExecStart=/opt/catamaran/bin/catamaran serve" cat /etc/systemd/system/catamaran.service
  uses || die "systemd has not read $drop_in"
  [[ -n $("$files/install_client" $other pods) && -z $("$files/install_client" $own pods) ]] || die "pods have moved"
}

change_runtime() {
  say "the kubelet starts again"
  drain $other
  catamaran image load "$files/node.oci.tar"
  catamaran image load "$files/busybox"
  systemctl start kubelet
  eventually 900 is_ready web
  # The installer's pod is started by what it has installed: nothing is to be done.
  eventually 900 is_ready catamaran-install
  [[ -z $("$files/install_client" $other pods) && $("$files/install_client" $own pods | wc -l) == 2 ]] ||
    die "pods of the other: $("$files/install_client" $other pods), of Catamaran: $("$files/install_client" $own pods)"
}

remove_by_pod() {
  say "the remover's pod"
  rm $pods/installer.yaml
  pod_of catamaran-remove >$pods/remover.yaml
  eventually 900 is_ready catamaran-remove
  absent $drop_in
  ! uses || die "systemd still has the drop-in"
  systemctl --quiet is-active catamaran-leaving || die "nothing waits for the pods"
  systemctl --quiet is-active catamaran || die "the daemon has left its pods"
  is_ready web || die "the pod on Catamaran has ended"
  say "drain"
  drain $own
  eventually 60 test ! -e /opt/catamaran
  eventually 30 test ! -e /etc/systemd/system/catamaran-leaving.service
  eventually 30 test ! -e /run/catamaran
  absent /etc/systemd/system/catamaran.service /usr/local/bin/catamaran /opt/catamaran.new
  [[ -s /etc/catamaran/config.yaml && -d /var/lib/catamaran ]] || die "a removal is no purge"
  ! systemctl --quiet is-active catamaran || die "the daemon still runs"
}

change_back() {
  say "the kubelet with the runtime of before"
  rm $pods/remover.yaml
  systemctl start kubelet
  eventually 900 is_ready web
  [[ $("$files/install_client" $other pods | wc -l) == 1 ]] || die "pods of the other: $("$files/install_client" $other pods)"
}

clean_up() {
  rm -f $pods/*.yaml
  systemctl stop kubelet
  local socket
  for socket in $other $own; do
    [[ ! -S $socket ]] || drain $socket || true
  done
  systemctl stop other-runtime catamaran catamaran-leaving 2>/dev/null || true
  systemctl --quiet disable catamaran catamaran-leaving 2>/dev/null || true
  rm -rf /etc/other.yaml /run/other /var/lib/other /var/lib/catamaran /run/catamaran /etc/catamaran /opt/catamaran* \
    /usr/local/bin/catamaran /etc/systemd/system/{kubelet.service,catamaran}* /var/lib/kubelet /etc/cni/net.d/10-bridge.conflist
  systemctl daemon-reload
}
trap 'status=$?; ((status == 0)) || journalctl -n 40 --no-pager -u kubelet -u catamaran -u other-runtime || true; clean_up; exit $status' EXIT

configure_kubelet
start_other_runtime
install_by_pod
change_runtime
remove_by_pod
change_back
say "installer.yaml's pods bring Catamaran onto a node and take it off"
