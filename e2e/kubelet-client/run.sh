#!/usr/bin/env bash
# Builds the kubelet's client tests with Go and runs them in a private world with a daemon of its own.
# usage: run.sh BUILD_DIR [TEST-FLAG...]    e.g. run.sh build -test.run Stats/vm -test.v
# The modules are fetched once, through the registry that Go is configured for.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
build=$(readlink -f "$1")
shift

go=$("$here/go_toolchain.sh")
export HOME=${HOME:-/root} CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-buildvcs=false
start=$SECONDS
(cd "$here" && "$go" vet -mod=readonly . && "$go" test -mod=readonly -c -o "$build/tests/kubelet_client_test" .)
echo "run.sh: $("$go" env GOVERSION), tests built in $((SECONDS - start)) s"
exec "$build/tests/run_in_world" "$build/tests/kubelet_client_test" -test.timeout=20m "$@"
