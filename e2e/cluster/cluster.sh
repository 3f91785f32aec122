#!/usr/bin/env bash
# A cluster of one node in namespaces of its own. This is `./dev cluster`.
# usage: cluster.sh BUILD_DIR up [-runtime containerd] [-default-handler vm] [-gates default]
#        cluster.sh BUILD_DIR down | shell [COMMAND...] | test [TEST-FLAG...]
#   up     starts it and says how long that took; one at a time
#   shell  a shell inside, with kubectl, and crictl's endpoint set; or one command
#   test   our own tests, in a cluster of their own
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
build=$(readlink -f "$1") verb=${2:-help}
shift 2 || shift $#
state=$build/cluster.state log=$build/cluster.log

fail() { echo "cluster: $*" >&2; exit 1; }
is_up() { [[ -f $state ]] && . "$state" && kill -0 "$PID" 2>/dev/null; }

up() {
  ! is_up || fail "it is up already: ./dev cluster shell, or first ./dev cluster down"
  local kubernetes waiting=0
  kubernetes=$("$here/build.sh" cluster)
  "$here/build_module.sh" "$kubernetes" coredns dns .
  "$here/go.sh" build -o "$build/tests/cluster_up" ./up
  rm -f "$state"
  setsid "$build/tests/cluster_up" -state "$state" -programs "$build/bin" -kubernetes "$kubernetes" \
    -manifests "$here/../../manifests" "$@" >"$log" 2>&1 </dev/null &
  local started=$!
  echo "cluster: etcd, API server, controllers, scheduler, kube-proxy, kubelet and DNS server are starting"
  until [[ -f $state ]]; do
    kill -0 "$started" 2>/dev/null || { cat "$log" >&2; fail "it did not come up"; }
    ((++waiting < 600)) || fail "not ready after 5 minutes; its log is $log"
    sleep 0.5
  done
  . "$state"
  echo "cluster: the node was ready after $SECONDS_TO_READY s; logs in $LOGS"
  echo "  ./dev cluster shell kubectl get nodes,runtimeclasses -o wide"
}

down() {
  is_up || { echo "cluster: it is not up"; return 0; }
  kill "$PID"
  local waiting=0
  while kill -0 "$PID" 2>/dev/null; do
    ((++waiting < 300)) || { kill -KILL "$PID"; fail "it did not end within a minute of SIGTERM and was killed"; }
    sleep 0.2
  done
  rm -f "$state"
  echo "cluster: gone"
}

shell() {
  is_up || fail "it is not up: ./dev cluster up"
  local kubernetes inside
  kubernetes=$("$here/build.sh" kubectl)
  inside=$(pgrep -P "$PID" | head -n 1)
  [[ $# -gt 0 ]] || set -- "${SHELL:-/bin/bash}"
  exec nsenter -t "$inside" -m -n -p env "PATH=$kubernetes:$build/bin:$PATH" "KUBECONFIG=$KUBECONFIG" \
    "CONTAINER_RUNTIME_ENDPOINT=$ENDPOINT" "$@"
}

case $verb in
  up | down | shell) "$verb" "$@" ;;
  test) exec "$here/run.sh" "$build" cluster "$@" ;;
  *) sed -n '2,8s/^# \?//p' "$0" && exit 2 ;;
esac
