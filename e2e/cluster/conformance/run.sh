#!/usr/bin/env bash
# Runs Kubernetes' conformance suite with pods on one handler by default. See README.md.
# usage: run.sh BUILD_DIR ns|vm|containerd [-focus REGEX] [-update] [-procs N] [-report FILE]
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
build=$(readlink -f "$1") subject=$2
shift 2

case $subject in
  ns) options=() ;;
  vm) options=(-class catamaran-vm -manifests "$here/../../../manifests") ;;
  containerd) options=(-runtime containerd -gates default) ;;
  *) echo "run.sh: $subject: must be ns, vm or containerd" >&2 && exit 2 ;;
esac

# What specs run in the suite's images comes from this machine.
install_tools() {
  local packages=()
  [[ -x $(command -v busybox) ]] || packages+=(busybox-static)
  [[ -x $(command -v curl) ]] || packages+=(curl)
  [[ -x $(command -v dig) ]] || packages+=(bind9-dnsutils)
  [[ -x $(command -v nc.openbsd) ]] || packages+=(netcat-openbsd)
  [[ -x $(command -v socat) ]] || packages+=(socat)
  [[ $subject != containerd || -x $(command -v containerd) ]] || packages+=(containerd runc containernetworking-plugins)
  [[ ${#packages[@]} -eq 0 ]] || apt-get install -y -qq --no-install-recommends "${packages[@]}" >&2
}

install_tools
kubernetes=$("$here/../build.sh" cluster ginkgo e2e.test)
"$here/../build_module.sh" "$kubernetes" coredns dns .
# Programs of the suite's images.
"$here/../build_module.sh" "$kubernetes" nnp . k8s.io/kubernetes/test/images/nonewprivs
"$here/../build_module.sh" "$kubernetes" sample-apiserver conformance/sample-apiserver k8s.io/sample-apiserver
"$here/../go.sh" test ./conformance ./node
"$here/../go.sh" build -o "$build/tests/conformance" ./conformance
exec "$build/tests/conformance" -programs "$build/bin" -kubernetes "$kubernetes" -table "$here/$subject.tsv" \
  "${options[@]}" "$@"
