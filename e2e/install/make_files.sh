#!/usr/bin/env bash
# What check_package.sh is given: the packages of this tree, and one of a later version. The later one is
# the same package with the program catamaran_next, whose version is another.
# usage: make_files.sh FOLDER
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
out=$1
if [[ -z ${CATAMARAN_PACKAGED:-} ]]; then
  ./dev package
  ninja -C build -j"$(nproc)" catamaran_next install_client
fi
rm -rf "$out"
mkdir -p "$out"
cp build/package/catamaran_*.deb "$out/old.deb"
cp build/package/catamaran-node-*.oci.tar "$out/node.oci.tar"
cp build/tests/install_client e2e/install/{checking,check_package,check_installer}.sh manifests/installer.yaml \
  manifests/cni/10-bridge.conflist "$out/"
"$out/install_client" - image "$out/busybox"

next=$(mktemp -d)
trap 'rm -rf "$next"' EXIT
dpkg-deb -R "$out/old.deb" "$next"
install -s -m 755 build/tests/catamaran_next "$next/usr/lib/catamaran/catamaran"
sed -i "s/^Version: .*/Version: $(build/tests/catamaran_next --version)/" "$next/DEBIAN/control"
(cd "$next" && find . -type f -not -path './DEBIAN/*' -printf '%P\0' | xargs -0 md5sum >DEBIAN/md5sums)
dpkg-deb --root-owner-group -b "$next" "$out/new.deb" >/dev/null
