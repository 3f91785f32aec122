#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/spec/sandbox_spec.pb.h"

// From spec::Resources to the writes that carry it out: pure, so that tests compare plans.
namespace catamaran {

// cpu.weight (1..10000) for cgroup v1's cpu.shares (2..262144); 1024, the default of v1, becomes
// 100, the default of v2. The curve of runc 1.3.2 and crun 1.23; 0 stays 0 (unset).
uint64_t CpuWeightOfShares(uint64_t shares);

struct CgroupWrite {
  std::string controller;
  std::string file;
  std::string value;
  std::string field;  // of spec::Resources, for errors

  friend bool operator==(const CgroupWrite&, const CgroupWrite&) = default;
};

// What a plan depends on: where controllers are, and what the group's files say now.
struct CgroupView {
  enum class Version { kNone, kV1, kV2 };
  std::function<Version(std::string_view controller)> version;
  // Nothing where the file is missing.
  std::function<std::optional<std::string>(std::string_view controller, const std::string& file)>
      read;
};

// The writes, in their order. Unset fields write nothing. kInvalidArgument for a value that is
// never right, kFailedPrecondition for a limit that this machine cannot set.
Result<std::vector<CgroupWrite>> PlanResources(const spec::Resources& resources,
                                               const CgroupView& view);

}  // namespace catamaran
