#include <vector>

#include "cri/registry/http.h"

namespace catamaran {

Result<std::string> HttpResponse::ReadBody(size_t limit) {
  std::string body;
  std::vector<char> buffer(64 << 10);
  for (;;) {
    ASSIGN_OR_RETURN(const size_t count, Read(buffer.data(), buffer.size()));
    if (count == 0) return body;
    if (count > limit - body.size())
      return Fail(ErrorCode::kResourceExhausted, "the answer is longer than {} bytes", limit);
    body.append(buffer.data(), count);
  }
}

}  // namespace catamaran
