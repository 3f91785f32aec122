#include <unistd.h>

#include <algorithm>

#include "sandbox/kernel/process.h"

namespace catamaran {

void CloseDescriptorsExcept(std::vector<int> kept) {
  std::sort(kept.begin(), kept.end());
  unsigned first = 0;
  for (const int fd : kept) {
    if (fd < 0) continue;
    const auto number = static_cast<unsigned>(fd);
    if (number > first) close_range(first, number - 1, 0);
    first = std::max(first, number + 1);
  }
  close_range(first, ~0U, 0);
}

}  // namespace catamaran
