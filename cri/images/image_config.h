#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cri/images/image_store.h"
#include "sandbox/base/result.h"

namespace catamaran {

struct ParsedImageConfig {
  ImageConfig config;
  std::string variant;
  std::vector<std::string> diff_ids;  // bottom first, each "sha256:<hex>"
};

// Reads an image's config (image-spec, config.md; Docker's is the same). Everything in it is
// hostile: sizes and counts are bounded, paths cleaned, strings free of NUL bytes.
// kInvalidArgument naming the field, its value and what would be right.
Result<ParsedImageConfig> ParseImageConfig(std::string_view text);

// "SIGTERM", "TERM", "15", "SIGRTMIN+3" and the like, for Linux.
bool IsSignalName(std::string_view text);

}  // namespace catamaran
