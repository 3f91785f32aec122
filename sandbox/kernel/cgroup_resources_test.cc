#include "sandbox/kernel/cgroup_resources.h"

#include <gtest/gtest.h>
#include <linux/bpf.h>

#include <map>

#include "sandbox/kernel/cgroup_devices.h"

namespace catamaran {
namespace {

using Version = CgroupView::Version;
using Files = std::map<std::string, std::string>;

CgroupView View(Version version, Files files) {
  return {[version](std::string_view) { return version; },
          [files](std::string_view, const std::string& file) -> std::optional<std::string> {
            const auto found = files.find(file);
            if (found == files.end()) return std::nullopt;
            return found->second;
          }};
}

const Files kV1Files = {{"memory.limit_in_bytes", "9223372036854771712"},
                        {"memory.memsw.limit_in_bytes", "9223372036854771712"},
                        {"cpu.cfs_period_us", "100000"},
                        {"hugetlb.2MB.limit_in_bytes", "0"},
                        {"hugetlb.2MB.rsvd.limit_in_bytes", "0"}};
const Files kV2Files = {{"memory.max", "max"},          {"memory.swap.max", "max"},
                        {"memory.high", "max"},         {"memory.oom.group", "0"},
                        {"cpu.max", "50000 100000"},    {"hugetlb.2MB.max", "max"},
                        {"hugetlb.2MB.rsvd.max", "max"}};

// "file=value file=value", or the error.
std::string PlanText(const spec::Resources& resources, const CgroupView& view) {
  const auto plan = PlanResources(resources, view);
  if (!plan) return std::string(ErrorCodeName(plan.error().code)) + ": " + plan.error().message;
  std::string text;
  for (const auto& write : *plan)
    text += (text.empty() ? "" : " ") + write.file + "=" + write.value;
  return text;
}
std::string PlanV1(const spec::Resources& resources, Files changed = {}) {
  changed.insert(kV1Files.begin(), kV1Files.end());
  return PlanText(resources, View(Version::kV1, changed));
}
std::string PlanV2(const spec::Resources& resources, Files changed = {}) {
  changed.insert(kV2Files.begin(), kV2Files.end());
  return PlanText(resources, View(Version::kV2, changed));
}

spec::Resources Cpu(int64_t period, int64_t quota, uint64_t shares = 0) {
  spec::Resources resources;
  resources.set_cpu_period_us(period);
  resources.set_cpu_quota_us(quota);
  resources.set_cpu_shares(shares);
  return resources;
}
spec::Resources Memory(int64_t limit, int64_t swap) {
  spec::Resources resources;
  resources.set_memory_limit_bytes(limit);
  resources.set_memory_swap_limit_bytes(swap);
  return resources;
}

TEST(CpuWeight, FollowsTheCurveThatMapsDefaultToDefault) {
  const std::map<uint64_t, uint64_t> rows = {
      {0, 0},    {1, 1},      {2, 1},      {10, 4},      {102, 17},       {256, 35},
      {512, 59}, {1024, 100}, {2048, 174}, {10240, 639}, {262144, 10000}, {9999999, 10000}};
  for (const auto& [shares, weight] : rows) EXPECT_EQ(CpuWeightOfShares(shares), weight) << shares;
}

TEST(PlanResources, WritesNothingForWhatIsUnset) {
  EXPECT_EQ(PlanV1({}), "");
  EXPECT_EQ(PlanV2({}), "");
}

TEST(PlanResources, LimitsCpuTime) {
  EXPECT_EQ(PlanV1(Cpu(100000, 50000, 512)),
            "cpu.shares=512 cpu.cfs_period_us=100000 cpu.cfs_quota_us=50000");
  EXPECT_EQ(PlanV1(Cpu(50000, 50000)), "cpu.cfs_quota_us=50000 cpu.cfs_period_us=50000");
  EXPECT_EQ(PlanV1(Cpu(0, -1)), "cpu.cfs_quota_us=-1");
  EXPECT_EQ(PlanV2(Cpu(100000, 50000, 512)), "cpu.weight=59 cpu.max=50000 100000");
  EXPECT_EQ(PlanV2(Cpu(0, 20000)), "cpu.max=20000");
  EXPECT_EQ(PlanV2(Cpu(200000, 0)), "cpu.max=50000 200000");
  EXPECT_EQ(PlanV2(Cpu(100000, -1)), "cpu.max=max 100000");
}

TEST(PlanResources, LimitsMemoryOnV1InAnOrderTheKernelTakes) {
  const Files limited = {{"memory.limit_in_bytes", "1000"},
                         {"memory.memsw.limit_in_bytes", "2000"}};
  EXPECT_EQ(PlanV1(Memory(4096, 8192)),
            "memory.limit_in_bytes=4096 memory.memsw.limit_in_bytes=8192");
  EXPECT_EQ(PlanV1(Memory(4096, 8192), limited),
            "memory.memsw.limit_in_bytes=8192 memory.limit_in_bytes=4096");
  EXPECT_EQ(PlanV1(Memory(500, 600), limited),
            "memory.limit_in_bytes=500 memory.memsw.limit_in_bytes=600");
  // memory alone may not grow beyond memory + swap
  EXPECT_EQ(PlanV1(Memory(4096, 0), limited),
            "memory.memsw.limit_in_bytes=4096 memory.limit_in_bytes=4096");
  EXPECT_EQ(PlanV1(Memory(1500, 0), limited), "memory.limit_in_bytes=1500");
  EXPECT_EQ(PlanV1(Memory(-1, 0), limited),
            "memory.memsw.limit_in_bytes=-1 memory.limit_in_bytes=-1");
}

TEST(PlanResources, DoesWithoutSwapAccountingWhereNoSwapIsAsked) {
  const CgroupView view = View(Version::kV1, {{"memory.limit_in_bytes", "1"}});
  EXPECT_EQ(PlanText(Memory(4096, 4096), view), "memory.limit_in_bytes=4096");
  EXPECT_EQ(PlanText(Memory(4096, -1), view), "memory.limit_in_bytes=4096");
  EXPECT_EQ(PlanText(Memory(4096, 8192), view).substr(0, 19), "FAILED_PRECONDITION");
}

TEST(PlanResources, CountsSwapAloneOnV2) {
  EXPECT_EQ(PlanV2(Memory(4096, 8192)), "memory.swap.max=4096 memory.max=4096");
  EXPECT_EQ(PlanV2(Memory(4096, 4096)), "memory.swap.max=0 memory.max=4096");
  EXPECT_EQ(PlanV2(Memory(4096, -1)), "memory.swap.max=max memory.max=4096");
  EXPECT_EQ(PlanV2(Memory(-1, 0)), "memory.swap.max=max memory.max=max");
  EXPECT_EQ(PlanV2(Memory(0, 8192), {{"memory.max", "4096"}}), "memory.swap.max=4096");
  const CgroupView no_swap = View(Version::kV2, {{"memory.max", "max"}});
  EXPECT_EQ(PlanText(Memory(4096, 4096), no_swap), "memory.max=4096");
  EXPECT_EQ(PlanText(Memory(4096, 8192), no_swap).substr(0, 19), "FAILED_PRECONDITION");
}

TEST(PlanResources, LimitsProcessesCpusAndHugePages) {
  spec::Resources resources;
  resources.set_pids_limit(-1);
  resources.set_cpuset_cpus("0-1");
  auto* two_megabytes = resources.add_hugepage_limits();
  two_megabytes->set_page_size("2MB");
  two_megabytes->set_limit_bytes(4 << 20);
  resources.add_hugepage_limits()->set_page_size("1GB");  // none here, and none wanted
  EXPECT_EQ(PlanV1(resources),
            "cpuset.cpus=0-1 pids.max=max hugetlb.2MB.limit_in_bytes=4194304 "
            "hugetlb.2MB.rsvd.limit_in_bytes=4194304");
  EXPECT_EQ(PlanV2(resources),
            "cpuset.cpus=0-1 pids.max=max hugetlb.2MB.max=4194304 hugetlb.2MB.rsvd.max=4194304");
}

TEST(PlanResources, WritesUnifiedKeysLast) {
  auto resources = Memory(4096, 0);
  (*resources.mutable_unified())["memory.oom.group"] = "1";
  (*resources.mutable_unified())["memory.high"] = "2048";
  EXPECT_EQ(PlanV2(resources), "memory.max=4096 memory.high=2048 memory.oom.group=1");
}

struct BadRow {
  const char* name;
  spec::Resources resources;
  const char* start;  // of what PlanText gives
};

spec::Resources Unified(const std::string& key) {
  spec::Resources resources;
  (*resources.mutable_unified())[key] = "1";
  return resources;
}

TEST(PlanResources, RefusesImpossibleValuesNamingTheField) {
  spec::Resources pids;
  pids.set_pids_limit(-2);
  spec::Resources huge;
  huge.add_hugepage_limits()->set_page_size("../2MB");
  spec::Resources absent_huge;
  absent_huge.add_hugepage_limits()->set_page_size("16KB");
  absent_huge.mutable_hugepage_limits(0)->set_limit_bytes(1);
  const BadRow rows[] = {
      {"short period", Cpu(999, 0), "INVALID_ARGUMENT: cpu_period_us 999"},
      {"long period", Cpu(1000001, 0), "INVALID_ARGUMENT: cpu_period_us 1000001"},
      {"small quota", Cpu(0, 999), "INVALID_ARGUMENT: cpu_quota_us 999"},
      {"negative quota", Cpu(0, -2), "INVALID_ARGUMENT: cpu_quota_us -2"},
      {"negative memory", Memory(-2, 0), "INVALID_ARGUMENT: memory_limit_bytes -2"},
      {"swap below memory", Memory(10, 9), "INVALID_ARGUMENT: memory_swap_limit_bytes 9"},
      {"swap without memory", Memory(0, 9), "INVALID_ARGUMENT: memory_swap_limit_bytes 9"},
      {"swap limit, endless memory", Memory(-1, 9), "INVALID_ARGUMENT: memory_swap_limit_bytes 9"},
      {"pids", pids, "INVALID_ARGUMENT: pids_limit -2"},
      {"page size", huge, "INVALID_ARGUMENT: hugepage_limits[../2MB]"},
      {"no such page", absent_huge, "FAILED_PRECONDITION: hugepage_limits[16KB]"},
      {"kill", Unified("cgroup.kill"), "INVALID_ARGUMENT: unified[cgroup.kill]"},
      {"slash", Unified("memory/../cgroup.kill"), "INVALID_ARGUMENT: unified[memory/"},
      {"no dot", Unified("memory"), "INVALID_ARGUMENT: unified[memory]"},
      {"leading dot", Unified("..x"), "INVALID_ARGUMENT: unified[..x]"},
      {"unknown", Unified("memory.nothing"), "INVALID_ARGUMENT: unified[memory.nothing]"},
  };
  for (const auto& row : rows)
    EXPECT_EQ(PlanV2(row.resources).substr(0, strlen(row.start)), row.start) << row.name;
  EXPECT_EQ(PlanV1(Unified("memory.high")).substr(0, 19), "FAILED_PRECONDITION");
}

TEST(PlanResources, RefusesLimitsWithoutTheirController) {
  const CgroupView nothing = View(Version::kNone, {});
  for (const auto& resources : {Cpu(0, 1000), Cpu(0, 0, 2), Memory(4096, 0)})
    EXPECT_EQ(PlanText(resources, nothing).substr(0, 19), "FAILED_PRECONDITION");
  spec::Resources none_wanted;
  none_wanted.add_hugepage_limits()->set_page_size("2MB");
  EXPECT_EQ(PlanText(none_wanted, nothing), "");
}

TEST(DeviceRules, AreWrittenAsTheKernelReadsThem) {
  EXPECT_EQ(DeviceRuleText(DeviceRule::Everything()), "a *:* rwm");
  EXPECT_EQ(DeviceRuleText({DeviceRule::Type::kBlock, 8, {}, true, false, false}), "b 8:* r");
  EXPECT_EQ(DeviceRuleText(DefaultDeviceRules().front()), "c *:* m");
}

// What the program answers, by the meaning of the instructions it is made of.
bool Allows(const std::vector<bpf_insn>& program, uint32_t access_type, uint32_t major,
            uint32_t minor) {
  const uint32_t context[] = {access_type, major, minor};
  uint64_t registers[6] = {};
  for (size_t at = 0;; ++at) {
    const bpf_insn& insn = program.at(at);
    const auto value = static_cast<uint32_t>(insn.imm);
    uint64_t& target = registers[insn.dst_reg];
    switch (insn.code) {
      case BPF_LDX | BPF_MEM | BPF_W:
        target = context[insn.off / 4];
        break;
      case BPF_ALU | BPF_MOV | BPF_X:
        target = registers[insn.src_reg];
        break;
      case BPF_ALU | BPF_MOV | BPF_K:
        target = value;
        break;
      case BPF_ALU | BPF_AND | BPF_K:
        target &= value;
        break;
      case BPF_ALU | BPF_RSH | BPF_K:
        target >>= value;
        break;
      case BPF_JMP32 | BPF_JNE | BPF_K:
        at += target != value ? insn.off : 0;
        break;
      case BPF_JMP | BPF_EXIT:
        return registers[0] == 1;
      default:
        ADD_FAILURE() << "unknown instruction " << int{insn.code};
        return false;
    }
  }
}

TEST(DeviceProgram, AllowsWhatOneRuleCoversWhole) {
  using Type = DeviceRule::Type;
  const auto program = CompileDeviceProgram({{Type::kCharacter, {}, {}, false, false, true},
                                             {Type::kCharacter, 1, 3, true, true, false},
                                             {Type::kBlock, 8, {}, true, false, false}})
                           .value();
  constexpr uint32_t kBlock = BPF_DEVCG_DEV_BLOCK, kCharacter = BPF_DEVCG_DEV_CHAR;
  constexpr uint32_t kMake = BPF_DEVCG_ACC_MKNOD << 16, kRead = BPF_DEVCG_ACC_READ << 16,
                     kWrite = BPF_DEVCG_ACC_WRITE << 16;
  EXPECT_TRUE(Allows(program, kMake | kCharacter, 10, 200));
  EXPECT_FALSE(Allows(program, kMake | kBlock, 8, 1));
  EXPECT_TRUE(Allows(program, kRead | kWrite | kCharacter, 1, 3));
  EXPECT_FALSE(Allows(program, kRead | kCharacter, 1, 5));
  EXPECT_FALSE(Allows(program, kRead | kMake | kCharacter, 1, 3)) << "two rules do not add up";
  EXPECT_TRUE(Allows(program, kRead | kBlock, 8, 77));
  EXPECT_FALSE(Allows(program, kWrite | kBlock, 8, 77));
  EXPECT_FALSE(Allows(program, kRead | kCharacter, 8, 77));
  const auto everything = CompileDeviceProgram({DeviceRule::Everything()}).value();
  EXPECT_TRUE(Allows(everything, kRead | kWrite | kMake | kBlock, 259, 4));
  EXPECT_FALSE(Allows(CompileDeviceProgram({}).value(), kRead | kCharacter, 1, 3));
  EXPECT_FALSE(CompileDeviceProgram(std::vector<DeviceRule>(1001)));
}

}  // namespace
}  // namespace catamaran
