#pragma once

#include <functional>
#include <string>

namespace catamaran {

// Whom a notice is about: ids, "" where that is nobody.
struct About {
  std::string pod = {};
  std::string container = {};
};

// Told what no caller hears of and an administrator should read. From any thread; does not block.
using Notice = std::function<void(const About& about, const std::string& text)>;

}  // namespace catamaran
