#!/usr/bin/env bash
# Builds a package of tests here with what it runs on, and runs it as root in a world of its own.
# usage: run.sh BUILD_DIR kubelet|cluster [TEST-FLAG...]    e.g. run.sh build kubelet -test.run Pods/vm -test.v
# CATAMARAN_RUNTIME=containerd: the same on Debian's containerd and runc, for comparison.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
build=$(readlink -f "$1") package=$2
shift 2

case $package in
  kubelet) programs=(kubelet) ;;
  cluster) programs=(kubelet etcd kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubectl agnhost) ;;
  *) echo "run.sh: no tests of $package: see the head of $0" >&2 && exit 2 ;;
esac
CATAMARAN_KUBERNETES=$("$here/build.sh" "${programs[@]}")
export CATAMARAN_KUBERNETES CATAMARAN_PROGRAMS=$build/bin

go=$("$here/../kubelet-client/go_toolchain.sh")
export HOME=${HOME:-/root} CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS='-buildvcs=false -mod=readonly -trimpath'
start=$SECONDS
(cd "$here" && "$go" vet ./node "./$package" && "$go" test -c -o "$build/tests/${package}_on_node_test" "./$package")
echo "run.sh: tests built in $((SECONDS - start)) s"
exec "$build/tests/${package}_on_node_test" -test.timeout=40m "$@"
