#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "sandbox/base/result.h"

namespace catamaran {

// "sha256:<64 lower-case hex>" or "sha512:<128>" (image-spec, descriptor.md).
bool IsDigest(std::string_view text);
// The hexadecimal part of a digest that IsDigest accepted.
std::string DigestHex(std::string_view digest);

// An image reference with nothing left to guess: "busybox" has become
// docker.io/library/busybox:latest. Grammar: distribution-spec; the rules for short names are
// those of every Docker-compatible client.
struct ImageReference {
  std::string repository;  // with its host: "docker.io/library/busybox"
  std::string tag;         // empty where a digest decides
  std::string digest;      // empty where a tag decides

  std::string ToString() const;  // the canonical form, e.g. "docker.io/library/busybox:latest"
};

// kInvalidArgument naming the text and the part that is wrong. Where both a tag and a digest are
// given, the digest decides and the tag is dropped.
Result<ImageReference> ParseImageReference(std::string_view text);

// The image id that `text` spells, with or without "sha256:", as "sha256:<hex>"; nullopt where it
// is not one.
std::optional<std::string> ParseImageId(std::string_view text);

}  // namespace catamaran
