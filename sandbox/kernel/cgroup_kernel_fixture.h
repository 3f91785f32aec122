#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sandbox/kernel/cgroup.h"

namespace catamaran {

inline Deadline Soon() { return Deadline::After(std::chrono::seconds(60)); }

// Which hierarchies of the machine a test is run on.
struct Part {
  const char* name;
  Result<std::shared_ptr<const CgroupTree>> (*open)();
};

// A group of its own below each root, gone afterwards with all that ran in it.
class CgroupKernelTest : public testing::TestWithParam<Part> {
 protected:
  void SetUp() override;
  void TearDown() override;

  Cgroup Make(const std::string& name);
  // A child of this process that enters the group, then does `work` and exits with its result.
  pid_t Run(const Cgroup& group, const std::function<int()>& work);
  // ... and returns once it is inside and has been told to sleep.
  pid_t RunSleeper(const Cgroup& group);
  int Wait(pid_t child);
  bool Controls(std::string_view controller) {
    return tree_->WithController(controller) != nullptr;
  }

  std::shared_ptr<const CgroupTree> tree_;
  std::string base_;
  std::vector<pid_t> children_;
};

}  // namespace catamaran
