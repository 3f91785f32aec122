#pragma once

#include <cerrno>
#include <string>

#include "cri/images/image_store.h"
#include "sandbox/base/result.h"

namespace catamaran {

// The error of what a policy forbids: kPermissionDenied, told from others by the errno that the
// kernel has for a signature which does not count.
template <typename... Args>
tl::unexpected<Error> Forbidden(fmt::format_string<Args...> format, Args&&... args) {
  return tl::unexpected(Error{ErrorCode::kPermissionDenied, EKEYREJECTED,
                              fmt::format(format, std::forward<Args>(args)...)});
}
inline bool IsForbidden(const Error& error) { return error.system_errno == EKEYREJECTED; }

// Which images may be used here, and under which names. Thread-safe.
class ImagePolicy {
 public:
  virtual ~ImagePolicy() = default;
  // Whether an image of the store may be used where `reference` (a name, or an id) was asked for.
  // Forbidden, saying which is against it and what would help.
  virtual Status Admit(const Image& image, const std::string& reference) const = 0;
  // Whether an archive may bring an image of this name.
  virtual Status AdmitLoaded(const std::string& reference) const = 0;
};

}  // namespace catamaran
