#!/usr/bin/env bash
# The go command as everything of this module is built: what is said here is part of what the compiler's
# cache goes by, and cgo would need a C library. usage: go.sh COMMAND... (in this folder)
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
go=$("$here/../kubelet-client/go_toolchain.sh")
export HOME=${HOME:-/root} CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS='-buildvcs=false -mod=readonly -trimpath'
cd "$here"
exec "$go" "$@"
