#!/usr/bin/env bash
# Builds the cluster's DNS server into a folder, beside Kubernetes' programs: 6 minutes of CPU time at first.
# A module of its own: what it requires would move versions that Kubernetes is compiled with.
# usage: build.sh FOLDER
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
folder=$1
go=$here/../go.sh

made_of=$({ cat "$here"/*.go "$here"/go.* "$go" "$0"; "$go" env GOVERSION; } | sha256sum)
exec 9>"$folder/coredns.lock"
flock 9
[[ ! -x $folder/coredns || $(cat "$folder/coredns.made-of" 2>/dev/null) != "$made_of" ]] || exit 0
start=$SECONDS
"$go" -C "$here" build -ldflags '-s -w' -o "$folder/coredns.new" . >&2
mv "$folder/coredns.new" "$folder/coredns"
echo "$made_of" >"$folder/coredns.made-of"
echo "build.sh: coredns: $((SECONDS - start)) s" >&2
