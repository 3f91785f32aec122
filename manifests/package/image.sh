#!/usr/bin/env bash
# The installer's image, as an archive of an OCI layout: one layer with the tree in /opt/catamaran, whose
# program is the entrypoint. No shell is in it, and no Docker makes it.
# usage: image.sh TREE OUT_FILE NAME:TAG [GUEST_FOLDER]
#   GUEST_FOLDER: goes into the tree, so that nodes that are no Debian have a guest (a kernel of Debian's,
#   GPL-2: who hands the image on offers its source, https://snapshot.debian.org)
set -euo pipefail
tree=$1 out=$2 name=$3 guest=${4:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir -p "$work"/{root/opt,root/host,layout/blobs/sha256}
cp -a "$tree" "$work/root/opt/catamaran"
if [[ -n $guest ]]; then
  mkdir "$work/root/opt/catamaran/guest"
  cp "$guest"/{vmlinuz,initramfs.img} "$work/root/opt/catamaran/guest/"
fi
# The same tree gives the same image.
# shellcheck disable=SC2054
archive=(tar --format=posix --pax-option=delete=atime,delete=ctime,exthdr.name=%d/PaxHeaders/%f --sort=name
         --mtime=@0 --owner=0 --group=0 --numeric-owner)
# A disk of eight GiB, nearly all holes, which nothing that unpacks an image would keep: `node install` does.
[[ -z $guest ]] || "${archive[@]}" --sparse -C "$guest" -cf "$work/root/opt/catamaran/guest/writable.tar" writable.img
"${archive[@]}" -C "$work/root" -cf "$work/layer.tar" .
gzip -9n <"$work/layer.tar" >"$work/layer.tar.gz"

# blob FILE: moves it to where its digest says, and prints "DIGEST SIZE".
blob() {
  local digest size
  digest=$(sha256sum "$1" | cut -d' ' -f1) size=$(stat -c %s "$1")
  mv "$1" "$work/layout/blobs/sha256/$digest"
  echo "sha256:$digest $size"
}
diff_id=sha256:$(sha256sum "$work/layer.tar" | cut -d' ' -f1)
read -r layer layer_size < <(blob "$work/layer.tar.gz")
cat >"$work/config" <<TEXT
{"architecture":"amd64","os":"linux","config":{"User":"0:0","WorkingDir":"/",
"Entrypoint":["/opt/catamaran/libexec/ld-linux-x86-64.so.2","--library-path","/opt/catamaran/lib","/opt/catamaran/libexec/catamaran"],
"Cmd":["node","install","--host","/host"],"Labels":{"org.opencontainers.image.licenses":"Apache-2.0"}},
"rootfs":{"type":"layers","diff_ids":["$diff_id"]},"history":[{"created_by":"manifests/package/image.sh"}]}
TEXT
read -r config config_size < <(blob "$work/config")
cat >"$work/manifest" <<TEXT
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"$config","size":$config_size},
"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"$layer","size":$layer_size}]}
TEXT
read -r manifest manifest_size < <(blob "$work/manifest")
cat >"$work/layout/index.json" <<TEXT
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[
{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"$manifest","size":$manifest_size,
"platform":{"architecture":"amd64","os":"linux"},
"annotations":{"org.opencontainers.image.ref.name":"$name","io.containerd.image.name":"$name"}}]}
TEXT
echo '{"imageLayoutVersion":"1.0.0"}' >"$work/layout/oci-layout"
"${archive[@]}" -C "$work/layout" -cf "$out" index.json oci-layout blobs
