#pragma once

#include <chrono>
#include <string>

#include "cri/config/config.h"
#include "cri/operate/pod_table_view.h"
#include "sandbox/base/result.h"

namespace catamaran {

struct TopOptions {
  bool once = false;  // print one table and end, also where there is no terminal
  PodOrder order = PodOrder::kCpu;
  std::chrono::milliseconds interval{2000};
};

// `catamaran top`: what pods use, live until q is pressed.
Status TopCommand(const Config& config, const TopOptions& options);

}  // namespace catamaran
