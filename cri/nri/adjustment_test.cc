#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "cri/nri/apply_adjustment.h"
#include "cri/nri/describe.h"

namespace catamaran {
namespace {

template <typename Message>
Message Parse(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

using runtime::v1::ContainerConfig;

TEST(AdjustRequest, MountsComeGoAndAreReplaced) {
  auto config = Parse<ContainerConfig>(
      R"(mounts { container_path: "/keep" host_path: "/a" }
         mounts { container_path: "/drop" host_path: "/b" }
         mounts { container_path: "/swap" host_path: "/c" }
         mounts { container_path: "/memory" host_path: "/d" })");
  ASSERT_TRUE(AdjustRequest(Parse<nri::ContainerAdjustment>(
                                R"(mounts { destination: "-/drop" }
             mounts { destination: "/swap" type: "bind" source: "/new"
                      options: "rbind" options: "ro" options: "nosuid" options: "rslave" }
             mounts { destination: "/memory" type: "tmpfs" })"),
                            &config));
  EXPECT_EQ(config.DebugString(), Parse<ContainerConfig>(
                                      R"(mounts { container_path: "/keep" host_path: "/a" }
                   mounts { container_path: "/swap" host_path: "/new" readonly: true
                            propagation: PROPAGATION_HOST_TO_CONTAINER mount_options: "nosuid" }
                   linux { resources { } })")
                                      .DebugString());
}

TEST(AdjustRequest, DevicesAreFoundByTheirNumbers) {
  auto config = Parse<ContainerConfig>(R"(devices { host_path: "/dev/zero" })");
  ASSERT_TRUE(AdjustRequest(Parse<nri::ContainerAdjustment>(
                                R"(linux { devices { path: "-/dev/zero" }
                     devices { path: "/dev/nothing" type: "c" major: 1 minor: 3 } })"),
                            &config));
  ASSERT_EQ(config.devices_size(), 1);
  EXPECT_EQ(config.devices(0).host_path(), "/dev/null");
  EXPECT_EQ(config.devices(0).container_path(), "/dev/nothing");
}

TEST(AdjustRequest, ResourcesAndCdiDevicesAreAdded) {
  auto config = Parse<ContainerConfig>(
      "linux { resources { cpu_shares: 10 memory_limit_in_bytes: 1048576 } }");
  ASSERT_TRUE(AdjustRequest(Parse<nri::ContainerAdjustment>(
                                R"(CDI_devices { name: "v.com/c=d" }
             linux { oom_score_adj { value: -5 }
                     resources { cpu { shares { value: 20 } quota { value: 5000 }
                                       period { value: 10000 } cpus: "0" }
                                 memory { reservation { value: 99 } }
                                 unified { key: "memory.high" value: "7" } } })"),
                            &config));
  const auto& resources = config.linux().resources();
  EXPECT_EQ(resources.cpu_shares(), 20);
  EXPECT_EQ(resources.cpu_quota(), 5000);
  EXPECT_EQ(resources.cpuset_cpus(), "0");
  EXPECT_EQ(resources.memory_limit_in_bytes(), 1048576);
  EXPECT_EQ(resources.oom_score_adj(), -5);
  EXPECT_EQ(resources.unified().at("memory.low"), "99");
  EXPECT_EQ(resources.unified().at("memory.high"), "7");
  ASSERT_EQ(config.cdi_devices_size(), 1);
  EXPECT_EQ(config.cdi_devices(0).name(), "v.com/c=d");
}

TEST(AdjustSpec, TheProgramItsLimitsAndATmpfs) {
  spec::ContainerSpec container;
  for (const char* variable : {"PATH=/bin", "DROP=1", "SWAP=1", "SWAPPED=1"})
    container.mutable_process()->add_env(variable);
  container.mutable_process()->add_args("old");
  auto* limit = container.mutable_process()->add_rlimits();
  limit->set_name("RLIMIT_CORE");
  container.add_mounts()->set_container_path("/a/b/c");
  ASSERT_TRUE(AdjustSpec(
      Parse<nri::ContainerAdjustment>(
          R"(env { key: "-DROP" } env { key: "SWAP" value: "2=3" } args: "new" args: "word"
             rlimits { type: "RLIMIT_CORE" soft: 1 hard: 2 }
             mounts { destination: "/a" type: "tmpfs" options: "size=4m" options: "mode=700" }
             linux { resources { pids { limit: 9 } } })"),
      &container));
  const auto& process = container.process();
  EXPECT_EQ(std::vector<std::string>(process.env().begin(), process.env().end()),
            (std::vector<std::string>{"PATH=/bin", "SWAPPED=1", "SWAP=2=3"}));
  EXPECT_EQ(std::vector<std::string>(process.args().begin(), process.args().end()),
            (std::vector<std::string>{"new", "word"}));
  ASSERT_EQ(process.rlimits_size(), 1);
  EXPECT_EQ(process.rlimits(0).hard(), 2u);
  EXPECT_EQ(container.resources().pids_limit(), 9);
  ASSERT_EQ(container.mounts_size(), 2);
  EXPECT_EQ(container.mounts(0).container_path(), "/a");  // before what is mounted below it
  EXPECT_EQ(container.mounts(0).tmpfs().size_bytes(), 4u << 20);
  EXPECT_EQ(container.mounts(0).tmpfs().mode(), 0700u);
}

TEST(AdjustSpec, ASeccompPolicyIsAProfile) {
  spec::ContainerSpec container;
  ASSERT_TRUE(AdjustSpec(Parse<nri::ContainerAdjustment>(
                             R"(linux { seccomp_policy { default_action: "SCMP_ACT_ALLOW"
               syscalls { names: "mkdir" action: "SCMP_ACT_ERRNO" errno_ret { value: 38 }
                          args { index: 1 value: 2 op: "SCMP_CMP_EQ" } } } })"),
                         &container));
  EXPECT_EQ(container.process().seccomp().kind(), spec::SeccompProfile::LOCALHOST);
  EXPECT_EQ(container.process().seccomp().profile_json(),
            R"({"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"action":"SCMP_ACT_ERRNO",)"
            R"("args":[{"index":1,"op":"SCMP_CMP_EQ","value":2,"valueTwo":0}],"errnoRet":38,)"
            R"("names":["mkdir"]}]})");
}

TEST(AdjustSpec, PrioritiesAreTheProcesss) {
  const auto adjusted = [](const char* linux) {
    spec::ContainerSpec container;
    auto done = AdjustSpec(Parse<nri::ContainerAdjustment>("linux { " + std::string(linux) + " }"),
                           &container);
    EXPECT_TRUE(done) << done.error().message;
    return container.process();
  };
  EXPECT_FALSE(adjusted("").has_io_priority());
  EXPECT_FALSE(adjusted("").has_scheduler());
  const auto idle = adjusted("io_priority { class: IO_PRIORITY_IDLE priority: 7 }");
  EXPECT_EQ(idle.io_priority().kind(), spec::IoPriority::IDLE);
  EXPECT_EQ(idle.io_priority().level(), 7u);
  EXPECT_TRUE(adjusted("io_priority { }").has_io_priority()) << "NONE is one too";
  const auto round_robin = adjusted(
      R"(scheduler { policy: SCHEDULE_RR priority: 99
                     flags: SCHEDULE_RESET_ON_FORK flags: SCHEDULE_KEEP_PARAMS })");
  EXPECT_EQ(round_robin.scheduler().policy(), spec::Scheduler::ROUND_ROBIN);
  EXPECT_EQ(round_robin.scheduler().priority(), 99u);
  EXPECT_EQ(round_robin.scheduler().flags(), 0x11u);
  EXPECT_EQ(adjusted("scheduler { policy: SCHEDULE_BATCH nice: -20 }").scheduler().nice(), -20);
  EXPECT_EQ(adjusted("scheduler { policy: SCHEDULE_IDLE }").scheduler().policy(),
            spec::Scheduler::IDLE);
  const auto deadline =
      adjusted("scheduler { policy: SCHEDULE_DEADLINE runtime: 1024 deadline: 2048 period: 4096 }");
  EXPECT_EQ(deadline.scheduler().runtime_ns(), 1024u);
  EXPECT_EQ(deadline.scheduler().deadline_ns(), 2048u);
  EXPECT_EQ(deadline.scheduler().period_ns(), 4096u);
}

struct RefusedRow {
  const char* adjustment;
  ErrorCode code;
  const char* field;
};

TEST(Adjustment, WhatCannotBeDoneIsRefusedByName) {
  constexpr auto kUnimplemented = ErrorCode::kUnimplemented;
  constexpr auto kWrong = ErrorCode::kInvalidArgument;
  const RefusedRow rows[] = {
      {R"(mounts { destination: "/m" type: "overlay" })", kUnimplemented, "mounts[0].type"},
      {R"(mounts { destination: "/m" type: "bind" options: "dax" })", kUnimplemented,
       "mounts[0].options"},
      {R"(mounts { destination: "/m" type: "tmpfs" options: "huge=always" })", kUnimplemented,
       "mounts[0].options"},
      {R"(mounts { destination: "/m" type: "tmpfs" options: "size=x" })", kWrong,
       "mounts[0].options"},
      {R"(mounts { destination: "m" type: "tmpfs" })", kWrong, "mounts[0].destination"},
      {R"(env { key: "A=B" value: "c" })", kWrong, "env"},
      {R"(args: "a\000b")", kWrong, "args"},
      {R"(rlimits { type: "RLIMIT_WISHES" })", kWrong, "rlimits.type"},
      {R"(rlimits { type: "RLIMIT_CPU" soft: 2 hard: 1 })", kWrong, "rlimits[RLIMIT_CPU].soft"},
      {R"(linux { devices { path: "/dev/x" type: "p" } })", kWrong, "linux.devices[0].type"},
      {R"(linux { devices { path: "/dev/x" type: "c" major: 511 minor: 99999 } })", kWrong,
       "linux.devices[0]"},
      {R"(linux { cgroups_path: "/elsewhere" })", kUnimplemented, "linux.cgroups_path"},
      {R"(linux { namespaces { type: "network" path: "/x" } })", kUnimplemented,
       "linux.namespaces"},
      {R"(linux { sysctl { key: "a" value: "b" } })", kUnimplemented, "linux.sysctl"},
      {R"(linux { net_devices { key: "e" value { } } })", kUnimplemented, "linux.net_devices"},
      {"linux { rdt { clos_id { } } }", kUnimplemented, "linux.rdt"},
      {"linux { memory_policy { mode: POLICY_BIND } }", kUnimplemented, "linux.memory_policy"},
      {"linux { io_priority { class: IO_PRIORITY_RT priority: 8 } }", kWrong,
       "linux.io_priority.priority: 8"},
      {"linux { io_priority { class: IO_PRIORITY_BE priority: -1 } }", kWrong,
       "linux.io_priority.priority: -1"},
      {"linux { io_priority { priority: 1 } }", kWrong, "linux.io_priority.priority: 1"},
      {"linux { io_priority { class: 4 } }", kWrong, "linux.io_priority.class: 4"},
      {"linux { scheduler { } }", kWrong, "linux.scheduler.policy: 0"},
      {"linux { scheduler { policy: 8 } }", kWrong, "linux.scheduler.policy: 8"},
      {"linux { scheduler { policy: SCHEDULE_ISO } }", kUnimplemented, "linux.scheduler.policy"},
      {"linux { scheduler { policy: SCHEDULE_FIFO priority: 100 } }", kWrong,
       "linux.scheduler.priority 100"},
      {"linux { scheduler { policy: SCHEDULE_RR priority: -1 } }", kWrong,
       "linux.scheduler.priority: -1"},
      {"linux { scheduler { policy: SCHEDULE_OTHER nice: 20 } }", kWrong,
       "linux.scheduler.nice 20"},
      {"linux { scheduler { policy: SCHEDULE_OTHER runtime: 5 } }", kWrong,
       "linux.scheduler.runtime 5"},
      {"linux { scheduler { policy: SCHEDULE_OTHER flags: 7 } }", kWrong,
       "linux.scheduler.flags[0]: 7"},
      {R"(linux { scheduler { policy: SCHEDULE_OTHER flags: SCHEDULE_RECLAIM
                              flags: SCHEDULE_UTIL_CLAMP_MIN } })",
       kUnimplemented, "linux.scheduler.flags[1]"},
      {R"(linux { seccomp_policy { listener_path: "/x" } })", kUnimplemented,
       "linux.seccomp_policy.listener_path"},
      {"linux { resources { memory { kernel { } } } }", kUnimplemented,
       "linux.resources.memory.kernel"},
      {"linux { resources { memory { swappiness { } } } }", kUnimplemented,
       "linux.resources.memory.swappiness"},
      {"linux { resources { memory { disable_oom_killer { value: true } } } }", kUnimplemented,
       "linux.resources.memory.disable_oom_killer"},
      {"linux { resources { cpu { realtime_runtime { } } } }", kUnimplemented,
       "linux.resources.cpu.realtime_runtime"},
      {"linux { resources { blockio_class { } } }", kUnimplemented,
       "linux.resources.blockio_class"},
      {"linux { resources { rdt_class { } } }", kUnimplemented, "linux.resources.rdt_class"},
      {"linux { resources { devices { } } }", kUnimplemented, "linux.resources.devices"},
      {"linux { resources { pids { limit: -7 } } }", kWrong, "linux.resources.pids.limit"},
      {"linux { resources { cpu { shares { value: 18446744073709551615 } } } }", kWrong,
       "linux.resources.cpu.shares"},
  };
  for (const RefusedRow& row : rows) {
    SCOPED_TRACE(row.adjustment);
    const auto adjustment = Parse<nri::ContainerAdjustment>(row.adjustment);
    ContainerConfig config;
    spec::ContainerSpec container;
    auto refused = AdjustRequest(adjustment, &config);
    if (refused) refused = AdjustSpec(adjustment, &container);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, row.code) << refused.error().message;
    EXPECT_TRUE(refused.error().message.starts_with(row.field)) << refused.error().message;
  }
}

// A plugin in Go cannot read a text that is none.
TEST(Describe, TextsAreUtf8) {
  spec::ContainerSpec container;
  container.mutable_process()->add_env("GOOD=\xc3\xa9");
  container.mutable_process()->add_env("BAD=\xff\xfe");
  const nri::Container described = DescribeContainer(container, {});
  EXPECT_EQ(described.env(0), "GOOD=\xc3\xa9");
  EXPECT_EQ(described.env(1), "BAD=??");
}

}  // namespace
}  // namespace catamaran
