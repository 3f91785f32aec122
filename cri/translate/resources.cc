#include <algorithm>
#include <charconv>

#include "cri/base/text.h"
#include "cri/translate/fields.h"
#include "cri/translate/translate.h"

namespace catamaran {
namespace {

using runtime::v1::LinuxContainerResources;

// Documentation/scheduler/sched-bwc.rst: a period from 1 ms to 1 s, a quota of at least 1 ms.
constexpr int64_t kLeastPeriodUs = 1000;
constexpr int64_t kMostPeriodUs = 1000000;
constexpr int64_t kLeastQuotaUs = 1000;
constexpr int64_t kMostShares = 262144;
// Less than this cannot even hold a program's own pages and the kernel's for them.
constexpr int64_t kLeastMemory = 1 << 20;
constexpr int64_t kOomScoreLimit = 1000;

struct Fields {
  const std::string& prefix;
  std::string operator()(std::string_view name) const { return fmt::format("{}.{}", prefix, name); }
};

Status CheckCpu(const LinuxContainerResources& in, const Fields& field, spec::Resources* out) {
  if (in.cpu_period() != 0 &&
      (in.cpu_period() < kLeastPeriodUs || in.cpu_period() > kMostPeriodUs)) {
    return WrongField(field("cpu_period"), in.cpu_period(), "0 or from 1000 to 1000000");
  }
  if (in.cpu_quota() != 0 && in.cpu_quota() != -1 && in.cpu_quota() < kLeastQuotaUs) {
    return WrongField(field("cpu_quota"), in.cpu_quota(), "-1, 0 or at least 1000");
  }
  if (in.cpu_shares() != 0 && (in.cpu_shares() < 2 || in.cpu_shares() > kMostShares)) {
    return WrongField(field("cpu_shares"), in.cpu_shares(), "0 or from 2 to 262144");
  }
  out->set_cpu_period_us(in.cpu_period());
  out->set_cpu_quota_us(in.cpu_quota());
  out->set_cpu_shares(static_cast<uint64_t>(in.cpu_shares()));
  return {};
}

bool ParseCpu(std::string_view text, uint32_t* out) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return error == std::errc() && end == text.data() + text.size();
}

// The kernel's list format: "0-3,7" (cpuset(7)).
bool IsList(std::string_view text, uint32_t limit) {
  while (true) {
    const size_t comma = std::min(text.find(','), text.size());
    const std::string_view item = text.substr(0, comma);
    const size_t dash = std::min(item.find('-'), item.size());
    uint32_t first = 0;
    if (!ParseCpu(item.substr(0, dash), &first)) return false;
    uint32_t last = first;
    if (dash != item.size() && !ParseCpu(item.substr(dash + 1), &last)) return false;
    if (last < first || last >= limit) return false;
    if (comma == text.size()) return true;
    text.remove_prefix(comma + 1);
  }
}

Status CheckCpuset(const LinuxContainerResources& in, const Fields& field,
                   const HandlerConfig& handler, const HostFacts& host, spec::Resources* out) {
  constexpr uint32_t kMostNodes = 1024;
  const std::pair<std::string_view, const std::string*> lists[] = {
      {"cpuset_cpus", &in.cpuset_cpus()}, {"cpuset_mems", &in.cpuset_mems()}};
  for (const auto& [name, list] : lists) {
    if (list->empty()) continue;
    if (handler.hull == HandlerConfig::Hull::kVm) {
      return WrongField(field(name), *list,
                        "empty for a virtual machine, which has CPUs of its own");
    }
    const bool cpus = name == "cpuset_cpus";
    if (!IsList(*list, cpus ? host.cpus : kMostNodes)) {
      return WrongField(field(name), *list,
                        cpus ? fmt::format("a list such as 0-3,7 of CPUs below {}", host.cpus)
                             : "a list such as 0-1 of memory nodes");
    }
  }
  out->set_cpuset_cpus(in.cpuset_cpus());
  out->set_cpuset_mems(in.cpuset_mems());
  return {};
}

Status CheckMemory(const LinuxContainerResources& in, const Fields& field, spec::Resources* out) {
  const int64_t memory = in.memory_limit_in_bytes();
  const int64_t swap = in.memory_swap_limit_in_bytes();
  if (memory != 0 && memory < kLeastMemory) {
    return WrongField(field("memory_limit_in_bytes"), memory, "0 or at least 1048576");
  }
  if (swap < -1) return WrongField(field("memory_swap_limit_in_bytes"), swap, "-1, 0 or more");
  if (swap > 0 && swap < memory) {
    return WrongField(
        field("memory_swap_limit_in_bytes"), swap,
        fmt::format("at least memory_limit_in_bytes ({}), which it includes", memory));
  }
  out->set_memory_limit_bytes(memory);
  // A limit without a word on swap means none, as every CRI runtime reads it.
  out->set_memory_swap_limit_bytes(swap == 0 ? memory : swap);
  return {};
}

Status CheckHugepages(const LinuxContainerResources& in, const Fields& field,
                      const HandlerConfig& handler, const HostFacts& host, spec::Resources* out) {
  for (int i = 0; i < in.hugepage_limits_size(); ++i) {
    const auto& limit = in.hugepage_limits(i);
    const std::string name = field(fmt::format("hugepage_limits[{}].page_size", i));
    const auto& sizes = host.hugepage_sizes;
    const bool known = std::find(sizes.begin(), sizes.end(), limit.page_size()) != sizes.end();
    if (handler.hull == HandlerConfig::Hull::kVm) {
      if (limit.limit() == 0) continue;  // a guest has no huge pages to begin with
      return WrongField(field(fmt::format("hugepage_limits[{}].limit", i)),
                        static_cast<int64_t>(limit.limit()), "0 for a virtual machine");
    }
    if (!known && limit.limit() == 0 && !limit.page_size().empty()) continue;
    if (!known) {
      return WrongField(name, limit.page_size(),
                        fmt::format("one of the host's: {}", fmt::join(sizes, ", ")));
    }
    auto* entry = out->add_hugepage_limits();
    entry->set_page_size(limit.page_size());
    entry->set_limit_bytes(limit.limit());
  }
  return {};
}

bool IsCgroupFile(const std::string& name) {
  return name.find('.') != std::string::npos && !name.starts_with("cgroup.") &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_';
         });
}

Status CheckUnified(const LinuxContainerResources& in, const Fields& field, spec::Resources* out) {
  for (const auto& [name, value] : in.unified()) {
    const std::string where = field(fmt::format("unified[{}]", Printable(name)));
    if (!IsCgroupFile(name)) {
      return WrongField(field("unified"), name,
                        "keyed by a cgroup v2 controller's file, such as memory.high");
    }
    if (value.empty() || value.size() > 4096 || HasControlCharacters(value)) {
      return WrongField(where, value, "one line of text");
    }
    if (name != "pids.max") {
      (*out->mutable_unified())[name] = value;
      continue;
    }
    // The one limit that the CRI has no field for, and that exists on every cgroup layout.
    int64_t limit = -1;
    auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), limit);
    const bool number = error == std::errc() && end == value.data() + value.size();
    if (value != "max" && (!number || limit < 1)) {
      return WrongField(where, value, "max or a number from 1");
    }
    out->set_pids_limit(value == "max" ? -1 : limit);
  }
  return {};
}

}  // namespace

Result<spec::Resources> TranslateResources(const LinuxContainerResources& resources,
                                           const std::string& prefix, const HandlerConfig& handler,
                                           const HostFacts& host) {
  const Fields field{prefix};
  spec::Resources out;
  RETURN_IF_ERROR(CheckCpu(resources, field, &out));
  RETURN_IF_ERROR(CheckCpuset(resources, field, handler, host, &out));
  RETURN_IF_ERROR(CheckMemory(resources, field, &out));
  RETURN_IF_ERROR(CheckHugepages(resources, field, handler, host, &out));
  RETURN_IF_ERROR(CheckUnified(resources, field, &out));
  if (resources.oom_score_adj() < -kOomScoreLimit || resources.oom_score_adj() > kOomScoreLimit) {
    return WrongField(field("oom_score_adj"), resources.oom_score_adj(), "from -1000 to 1000");
  }
  return out;
}

void MergeResources(const LinuxContainerResources& update, LinuxContainerResources* resources) {
  if (update.cpu_period() != 0) resources->set_cpu_period(update.cpu_period());
  if (update.cpu_quota() != 0) resources->set_cpu_quota(update.cpu_quota());
  if (update.cpu_shares() != 0) resources->set_cpu_shares(update.cpu_shares());
  if (!update.cpuset_cpus().empty()) resources->set_cpuset_cpus(update.cpuset_cpus());
  if (!update.cpuset_mems().empty()) resources->set_cpuset_mems(update.cpuset_mems());
  if (update.memory_limit_in_bytes() != 0) {
    resources->set_memory_limit_in_bytes(update.memory_limit_in_bytes());
  }
  if (update.memory_swap_limit_in_bytes() != 0) {
    resources->set_memory_swap_limit_in_bytes(update.memory_swap_limit_in_bytes());
  }
  for (const auto& limit : update.hugepage_limits()) {
    auto* limits = resources->mutable_hugepage_limits();
    auto existing = std::find_if(limits->begin(), limits->end(), [&](const auto& entry) {
      return entry.page_size() == limit.page_size();
    });
    if (existing != limits->end()) {
      existing->set_limit(limit.limit());
    } else {
      *limits->Add() = limit;
    }
  }
  for (const auto& [name, value] : update.unified()) (*resources->mutable_unified())[name] = value;
}

}  // namespace catamaran
