#!/usr/bin/env bash
# Runs Kubernetes' conformance suite with pods on one handler by default. See README.md.
# usage: run.sh BUILD_DIR ns|vm|containerd [-focus REGEX] [-update] [-procs N] [-report FILE]
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
build=$(readlink -f "$1") subject=$2
shift 2

case $subject in
  ns | vm) options=(-default-handler "$subject") ;;
  containerd) options=(-runtime containerd -gates default) ;;
  *) echo "run.sh: $subject: must be ns, vm or containerd" >&2 && exit 2 ;;
esac
kubernetes=$("$here/../build.sh" kubelet etcd kube-apiserver kube-controller-manager kube-scheduler kube-proxy \
  kubectl agnhost ginkgo e2e.test)
go=$("$here/../../kubelet-client/go_toolchain.sh")
export HOME=${HOME:-/root}
(cd "$here" && CGO_ENABLED=0 GOTOOLCHAIN=local "$go" build -buildvcs=false -mod=readonly -trimpath \
  -o "$build/tests/conformance" .)
exec "$build/tests/conformance" -programs "$build/bin" -kubernetes "$kubernetes" -table "$here/$subject.tsv" \
  "${options[@]}" "$@"
