#!/bin/sh
# The tree of the tarball on a system that has nothing but busybox: runs, says what is missing, and serves a
# pod. Run by on_bare_debian.sh in such a root, as /check_tree.sh.
set -eu
catamaran=/opt/catamaran/bin/catamaran
die() { echo "check_tree: $*" >&2; exit 1; }

ln -s "$catamaran" /usr/local/bin/catamaran
catamaran --version
cat >/etc/config.yaml <<TEXT
cgroup_root: $CATAMARAN_CHECK_CGROUP
handlers: [{name: ns, backend: ns}]
TEXT
catamaran config check /etc/config.yaml
# Nothing here makes a guest: it says where one can be made.
catamaran guest build 2>&1 | grep -q 'make it on a Debian machine with' || die "guest build does not say what to do"
catamaran doctor --config /etc/config.yaml || true
ip link set lo up
catamaran serve --config /etc/config.yaml >/daemon.log 2>&1 &
daemon=$!
trap 'kill $daemon; tail -5 /daemon.log' EXIT
for second in $(seq 60); do [ -S /run/catamaran/catamaran.sock ] && break; sleep 1; done
catamaran image load --config /etc/config.yaml /busybox
set -- $(client /run/catamaran/catamaran.sock run-on-host pod ns /logs)
[ "$(client /run/catamaran/catamaran.sock exec "$2" echo hello)" = hello ] || die "exec"
client /run/catamaran/catamaran.sock remove "$1"
trap - EXIT
kill $daemon
wait $daemon || true
echo "==> the tree runs where there is nothing but busybox"
