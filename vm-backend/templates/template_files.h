#pragma once

#include <cstdint>
#include <string>

#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"
#include "sandbox/base/unique_fd.h"

namespace catamaran {

// A booted machine, saved: guest RAM and device state, each in an anonymous file.
//
// RAM is hostile ground: a VMM that was taken over by its guest has the descriptor of the memory
// that all clones share, and QEMU opens even a privately mapped file for writing. Sealed, nobody
// can write to it, shrink it or punch holes into it any more, not even the process that made it
// (fcntl(2), F_ADD_SEALS); clones map it MAP_PRIVATE.
struct Template {
  UniqueFd memory;
  UniqueFd state;
};

// An anonymous file that can be sealed later. Its pages take no room until they are written.
Result<UniqueFd> MakeTemplateFile(const std::string& name, uint64_t size_bytes);

// Ends all writing for good. kFailedPrecondition while somebody still maps it writable.
Status SealTemplate(const Template& saved);

// On disk a template is a folder <root>/<key> with `memory` (sparse), `state` and `manifest`
// (sizes and digests). Saving and loading block on the disk for as long as it takes to move the
// RAM: call them from a child process. A folder is whole or absent; damage is found by the digest.

// Replaces what is there.
Status SaveTemplate(const HostPath& root, const std::string& key, const Template& saved);
// Fills the two files, made by the caller with MakeTemplateFile. kNotFound where there is none of
// this key, kDataLoss where it is damaged: then the folder is gone afterwards.
Status LoadTemplate(const HostPath& root, const std::string& key, const Template& into);
struct TemplateSizes {
  uint64_t memory_bytes = 0;
  uint64_t state_bytes = 0;
};
// Reads the manifest only.
Result<TemplateSizes> FindTemplate(const HostPath& root, const std::string& key);
// Removes all but the `keep` templates that were used last, and what crashes left behind; what is
// being saved meanwhile, by this keeper or another, stays.
Status TrimTemplates(const HostPath& root, size_t keep);

// SHA-256 over the non-zero megabytes of a file and where they lie, as 64 hexadecimal digits: equal
// for equal content, however sparsely it is stored.
Result<std::string> DigestOf(int fd);
std::string DigestOf(const std::string& text);

}  // namespace catamaran
