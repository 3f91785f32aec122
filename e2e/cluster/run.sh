#!/usr/bin/env bash
# Builds a package of tests here with what it runs on, and runs it as root in a world of its own.
# usage: run.sh BUILD_DIR kubelet|cluster [TEST-FLAG...]    e.g. run.sh build kubelet -test.run Pods/vm -test.v
# CATAMARAN_RUNTIME=containerd: the same on Debian's containerd and runc, for comparison.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
build=$(readlink -f "$1") package=$2
shift 2

case $package in
  kubelet | cluster) ;;
  *) echo "run.sh: no tests of $package: see the head of $0" >&2 && exit 2 ;;
esac
# Both are also names of what is built: the kubelet, or all that a cluster is made of.
CATAMARAN_KUBERNETES=$("$here/build.sh" "$package")
export CATAMARAN_KUBERNETES CATAMARAN_PROGRAMS=$build/bin CATAMARAN_MANIFESTS=$here/../../manifests
if [[ $package == cluster ]]; then
  "$here/build_module.sh" "$CATAMARAN_KUBERNETES" coredns dns .
  "$here/build_module.sh" "$CATAMARAN_KUBERNETES" metrics-server metrics-server sigs.k8s.io/metrics-server/cmd/metrics-server
  export CATAMARAN_METRICS_SERVER=$CATAMARAN_KUBERNETES/metrics-server
fi

start=$SECONDS
"$here/go.sh" vet ./node "./$package"
"$here/go.sh" test -c -o "$build/tests/${package}_on_node_test" "./$package"
echo "run.sh: tests built in $((SECONDS - start)) s"
exec "$build/tests/${package}_on_node_test" -test.timeout=40m "$@"
