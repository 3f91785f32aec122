#!/usr/bin/env bash
# check_package.sh in the test node: a machine of its own with systemd, so that the unit, its restart under
# pods and the removal that waits for them are real. `e2e/test-node/node.sh up` starts the node.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
cd "$here/../.."
[[ -d build/package/check ]] || "$here/make_files.sh" build/package/check
cp "$here/check_package.sh" build/package/check/
# The node has no network.
rm -rf build/package/check/guest-cache
cp -r build/guest/cache build/package/check/guest-cache
e2e/test-node/node.sh run bash -c "cp -r '$PWD/build/package/check' /root/install-check &&
  CATAMARAN_CHECK_HANDLERS='${CATAMARAN_CHECK_HANDLERS:-ns}' bash /root/install-check/check_package.sh /root/install-check"
