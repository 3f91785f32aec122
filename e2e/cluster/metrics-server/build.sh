#!/usr/bin/env bash
# Builds metrics-server from its Go module and prints the path of the program. It is kept below
# CATAMARAN_CACHE (default /var/cache/catamaran) by what it is made of. Most of it is what Kubernetes' own
# programs are made of: after ../build.sh it takes seconds.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
go=$here/../go.sh

made_of=$({ cat "$here/go.mod" "$here/go.sum" "$here/../go.sh" "$0"; "$go" env GOVERSION; } | sha256sum | cut -c1-12)
cache=${CATAMARAN_CACHE:-/var/cache/catamaran}/metrics-server
program=$cache/metrics-server-$made_of
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
if [[ ! -x $program ]]; then
  echo "metrics-server: building it" >&2
  "$go" build -C metrics-server -ldflags '-s -w' -o "$program.new" sigs.k8s.io/metrics-server/cmd/metrics-server >&2
  mv "$program.new" "$program"
fi
# Those of other versions are of no more use.
find "$cache" -mindepth 1 -type f ! -path "$program" ! -name lock -delete
echo "$program"
