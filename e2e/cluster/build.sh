#!/usr/bin/env bash
# Builds Kubernetes' own programs from their Go modules and prints the folder they are in.
# usage: build.sh PROGRAM...    of kubelet etcd kube-apiserver kube-controller-manager kube-scheduler
#                               kube-proxy kubectl agnhost e2e.test ginkgo; "cluster": all but the last two
# They are kept below CATAMARAN_CACHE (default /var/cache/catamaran), by what they are made of. The
# kubelet alone takes 12 minutes of CPU time at first, all of them 30.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
go=$here/go.sh
readonly kubernetes=v1.37.2

made_of=$({ cat "$here/go.mod" "$here/go.sum" "$here/go.sh" "$0"; "$go" env GOVERSION; } | sha256sum | cut -c1-12)
cache=${CATAMARAN_CACHE:-/var/cache/catamaran}/kubernetes
folder=$cache/$kubernetes-$made_of
version=k8s.io/component-base/version
link="-s -w -X $version.gitVersion=$kubernetes -X $version.gitMajor=1 -X $version.gitMinor=37 -X $version.gitTreeState=clean"

package_of() {
  case $1 in
    etcd) echo go.etcd.io/etcd/server/v3 ;;
    agnhost) echo k8s.io/kubernetes/test/images/agnhost ;;
    ginkgo) echo github.com/onsi/ginkgo/v2/ginkgo ;;
    e2e.test) echo k8s.io/kubernetes/test/e2e ;;
    kubelet | kube-apiserver | kube-controller-manager | kube-scheduler | kube-proxy | kubectl)
      echo "k8s.io/kubernetes/cmd/$1" ;;
    *) echo "build.sh: no program $1: see the head of $0" >&2 && return 1 ;;
  esac
}

# Files that its image has beside it, and that tests fetch.
copy_files_of_agnhost() {
  local module
  module=$("$go" list -m -f '{{.Dir}}' k8s.io/kubernetes)
  install -m 0644 "$module/test/images/agnhost/porter/localhost".{crt,key} "$folder/"
}

mkdir -p "$folder"
exec 9>"$cache/lock"
flock 9
programs=()
for program; do
  [[ $program == cluster ]] || { programs+=("$program") && continue; }
  programs+=(kubelet etcd kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubectl agnhost)
done
for program in "${programs[@]}"; do
  package=$(package_of "$program")
  [[ ! -x $folder/$program ]] || continue
  start=$SECONDS
  echo "build.sh: building $program of Kubernetes $kubernetes" >&2
  build=(build)
  [[ $program != e2e.test ]] || build=(test -c)
  "$go" "${build[@]}" -ldflags "$link" -o "$folder/$program.new" "$package" >&2
  [[ $program != agnhost ]] || copy_files_of_agnhost
  mv "$folder/$program.new" "$folder/$program"
  echo "build.sh: $program: $((SECONDS - start)) s" >&2
done
# Those of other versions are of no more use.
find "$cache" -mindepth 1 -maxdepth 1 -type d ! -path "$folder" -exec rm -rf {} +
echo "$folder"
