#!/usr/bin/env bash
# Builds a program of a module of its own into a folder, beside Kubernetes' programs: what such a module
# requires would move versions that Kubernetes is compiled with. Kept by what it is made of.
# usage: build_module.sh FOLDER PROGRAM MODULE PACKAGE    e.g. build_module.sh "$(./build.sh cluster)" coredns dns .
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
folder=$1 program=$2 module=$here/$3 package=$4
go=$here/go.sh

made_of=$({ find "$module" -maxdepth 1 -type f \( -name '*.go' -o -name 'go.*' \) | sort | xargs cat; cat "$go" "$0"; "$go" env GOVERSION; } | sha256sum)
exec 9>"$folder/$program.lock"
flock 9
[[ ! -x $folder/$program || $(cat "$folder/$program.made-of" 2>/dev/null) != "$made_of" ]] || exit 0
start=$SECONDS
echo "build_module.sh: building $program" >&2
"$go" -C "$module" build -ldflags '-s -w' -o "$folder/$program.new" "$package" >&2
mv "$folder/$program.new" "$folder/$program"
echo "$made_of" >"$folder/$program.made-of"
echo "build_module.sh: $program: $((SECONDS - start)) s" >&2
