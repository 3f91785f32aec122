#pragma once

#include <string>
#include <vector>

#include "sandbox/base/result.h"

namespace catamaran::e2e {

// One entry of a layer.
struct ImageFile {
  std::string path;     // without a leading slash
  std::string content;  // of a regular file
  unsigned mode = 0644;
  char type = 'f';     // f file, d folder, l symlink, h hard link, p FIFO
  std::string target;  // of links
  unsigned uid = 0, gid = 0;
};

// An image as its author would describe it.
struct ImageDescription {
  std::string name;  // "docker.io/library/busybox:1"
  std::vector<std::vector<ImageFile>> layers;
  enum class Compression { kNone, kGzip, kZstd } compression = Compression::kGzip;
  std::vector<std::string> entrypoint, command, environment;
  std::string user, working_directory, stop_signal;
  std::vector<std::string> volumes;
};

// The layer of Debian's static busybox: /bin/busybox, a symlink per applet, the folders a root
// file system has, /etc/passwd and /etc/group with a user "daniel" (1000:1000, in group 50000).
Result<std::vector<ImageFile>> BusyboxLayer();

// What every scenario starts from: name, busybox, command ["sh"].
Result<ImageDescription> BusyboxImage(const std::string& name);

// Writes an OCI layout (index.json, oci-layout, blobs/) of these images into `folder`.
Status WriteOciLayout(const std::string& folder, const std::vector<ImageDescription>& images);

// A layer as an uncompressed tar archive.
Result<std::string> LayerTar(const std::vector<ImageFile>& files);

// "sha256:<hex>" of these bytes.
std::string Sha256Digest(const std::string& bytes);

}  // namespace catamaran::e2e
