#!/usr/bin/env bash
# check_package.sh and check_installer.sh in the test node: a machine of its own with systemd, so that the unit,
# its restart under pods, the removal that waits for them and the kubelet are real.
# usage: on_test_node.sh [package|installer]
# environment: CATAMARAN_CHECK_HANDLERS (ns); CATAMARAN_NODE_BUILD and others of e2e/test-node/node.sh
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
cd "$here/../.."
build=${CATAMARAN_NODE_BUILD:-build}
[[ -d $build/package/check ]] || "$here/make_files.sh" build/package/check
cp "$here"/*.sh "$build/package/check/"
cp "$(e2e/cluster/build.sh kubelet)/kubelet" "$build/package/kubelet"
# The node has no network.
rm -rf "$build/package/check/guest-cache"
cp -r "$build/guest/cache" "$build/package/check/guest-cache"
check="rm -rf /root/check && cp -r build/package/check /root/check && /root/check/check"
node() { e2e/test-node/node.sh run bash -c "$1"; }
[[ ${1:-package} != package ]] ||
  node "export CATAMARAN_CHECK_HANDLERS='${CATAMARAN_CHECK_HANDLERS:-ns}'; ${check}_package.sh /root/check"
[[ ${1:-installer} != installer ]] || node "${check}_installer.sh /root/check build/bin build/package/kubelet"
