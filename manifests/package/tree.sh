#!/usr/bin/env bash
# The tree for hosts that are no Debian: programs, every library they need and glibc's loader, so that it
# runs wherever it lies, with nothing but a kernel and /bin/sh.
# usage: tree.sh BUILD_FOLDER OUT_FOLDER
set -euo pipefail
source=$(dirname "$(readlink -f "$0")")/../..
build=$1 out=$2
rm -rf "$out"
mkdir -p "$out"/{bin,lib,libexec,share/catamaran,share/man/man5,share/man/man8,share/doc/catamaran/libraries}
mkdir -p "$out/share/bash-completion/completions"

install -m 755 "$source/manifests/package/catamaran.sh" "$out/bin/catamaran"
for program in catamaran catamaran-shim catamaran-agent; do
  install -m 755 -s "$build/bin/$program" "$out/libexec/$program"
done
install -m 755 "$source/vm-backend/guest/build-guest.sh" "$out/libexec/"

# What the loader finds here is what it is given there, under the names it asks for.
while read -r name library; do
  install -m 644 "$(readlink -f "$library")" "$out/lib/$name"
  package=$(dpkg -S "$(readlink -f "$library")" 2>/dev/null || dpkg -S "$library" 2>/dev/null || dpkg -S "/usr$library")
  package=${package%%:*}
  cp -L "/usr/share/doc/$package/copyright" "$out/share/doc/catamaran/libraries/$package"
done < <(ldd "$build/bin/catamaran" | sed -n 's/^\t\([^ /]*\) => \([^ ]*\) .*/\1 \2/p')
loader=$(ldd "$build/bin/catamaran" | sed -n 's/^\t\(\/[^ ]*ld-linux[^ ]*\) .*/\1/p')
install -m 755 "$(readlink -f "$loader")" "$out/libexec/$(basename "$loader")"

install -m 644 "$source/manifests/catamaran.service" "$source/manifests/package/config.yaml" "$out/share/catamaran/"
install -m 644 "$source"/manifests/man/*.8 "$out/share/man/man8/"
install -m 644 "$source"/manifests/man/*.5 "$out/share/man/man5/"
install -m 644 "$source/manifests/completion/catamaran" "$out/share/bash-completion/completions/"
install -m 644 "$source/LICENSE" "$source"/manifests/docs/*.md "$source/manifests/catamaran.yaml" \
  "$source/manifests/installer.yaml" "$source/manifests/runtimeclasses.yaml" "$source/manifests/package/debian/copyright" "$out/share/doc/catamaran/"
