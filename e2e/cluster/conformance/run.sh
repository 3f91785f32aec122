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
kubernetes=$("$here/../build.sh" cluster ginkgo e2e.test)
"$here/../go.sh" build -o "$build/tests/conformance" ./conformance
exec "$build/tests/conformance" -programs "$build/bin" -kubernetes "$kubernetes" -table "$here/$subject.tsv" \
  "${options[@]}" "$@"
