#include "cri/registry/redirect_rules.h"

namespace catamaran {

void KeepWhatMayGoElsewhere(HttpRequest& request) {
  std::erase_if(request.headers, [](const HttpRequest::Header& header) {
    return header.first != "Accept" && header.first != "Range";
  });
}

}  // namespace catamaran
