#include "shim/client/probe_flags.h"

#include <gtest/gtest.h>

namespace catamaran {
namespace {

TEST(ProbeFlags, ReadWhatTheyWrote) {
  ProbeFlags flags;
  flags.of = ProbeFlags::Of::kVm;
  flags.patience_seconds = 7;
  flags.machine.set_kernel("/k with spaces");
  flags.machine.set_initramfs("/i");
  flags.machine.set_writable_disk("/w");
  flags.machine.set_qemu("/q");
  flags.machine.set_default_memory_bytes(uint64_t{5} << 32);
  flags.machine.set_overhead_memory_bytes(1 << 20);
  flags.machine.set_cpus(3);
  flags.machine.set_allow_emulation(true);
  flags.machine.set_use_template(true);
  const auto read = ProbeFlags::Parse(flags.ToArguments());
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->of, ProbeFlags::Of::kVm);
  EXPECT_EQ(read->patience_seconds, 7u);
  EXPECT_EQ(read->machine.SerializeAsString(), flags.machine.SerializeAsString());
}

TEST(ProbeFlags, RefuseWhatIsWrongByName) {
  const std::pair<std::vector<std::string>, std::string> rows[] = {
      {{}, "--of is due"},
      {{"--of"}, "--of: a value"},
      {{"--of", "fake"}, "--of fake"},
      {{"--of", "host"}, "--cgroup is due"},
      {{"--of", "ns"}, "--scratch is due"},
      {{"--of", "vm", "--cpus", "two"}, "--cpus two"},
      {{"--of", "vm", "--speed", "1"}, "--speed"}};
  for (const auto& [arguments, message] : rows) {
    const auto read = ProbeFlags::Parse(arguments);
    ASSERT_FALSE(read) << message;
    EXPECT_NE(read.error().message.find(message), std::string::npos) << read.error().message;
  }
}

}  // namespace
}  // namespace catamaran
