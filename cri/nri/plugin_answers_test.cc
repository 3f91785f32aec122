#include "cri/nri/plugin_answers.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "cri/nri/describe.h"

namespace catamaran {
namespace {

template <typename Message>
Message Parse(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

nri::CreateContainerResponse Adjust(const std::string& text) {
  return Parse<nri::CreateContainerResponse>("adjust { " + text + " }");
}

struct ConflictRow {
  const char* name;
  const char* adjustment;  // asked by both
  const char* field;       // named in the error
};

TEST(PluginAnswers, TwoThatSetOneFieldAreAConflictNamingBoth) {
  const ConflictRow rows[] = {
      {"annotation", R"(annotations { key: "a" value: "1" })", "Annotations[a]"},
      {"mount", R"(mounts { destination: "/m" type: "bind" })", "Mounts[/m]"},
      {"env", R"(env { key: "K" value: "v" })", "Env[K]"},
      {"args", R"(args: "x")", "Args"},
      {"rlimit", R"(rlimits { type: "RLIMIT_NOFILE" })", "Rlimits[RLIMIT_NOFILE]"},
      {"CDI device", R"(CDI_devices { name: "v/c=d" })", "CdiDevices[v/c=d]"},
      {"device", R"(linux { devices { path: "/dev/x" } })", "Devices[/dev/x]"},
      {"memory limit", "linux { resources { memory { limit { value: 1 } } } }", "MemLimit"},
      {"zero is a value", "linux { resources { memory { limit { } } } }", "MemLimit"},
      {"swap", "linux { resources { memory { swap { value: 1 } } } }", "MemSwapLimit"},
      {"cpu shares", "linux { resources { cpu { shares { value: 2 } } } }", "CPUShares"},
      {"cpus", R"(linux { resources { cpu { cpus: "0" } } })", "CPUSetCPUs"},
      {"mems", R"(linux { resources { cpu { mems: "0" } } })", "CPUSetMems"},
      {"pids", "linux { resources { pids { limit: 5 } } }", "PidsLimit"},
      {"hugepages", R"(linux { resources { hugepage_limits { page_size: "2MB" } } })",
       "HugepageLimits[2MB]"},
      {"unified", R"(linux { resources { unified { key: "memory.high" value: "1" } } })",
       "CgroupsUnified[memory.high]"},
      {"blockio", "linux { resources { blockio_class { } } }", "BlockioClass"},
      {"rdt class", "linux { resources { rdt_class { } } }", "RdtClass"},
      {"cgroups path", R"(linux { cgroups_path: "/x" })", "CgroupsPath"},
      {"oom score", "linux { oom_score_adj { } }", "OomScoreAdj"},
      {"io priority", "linux { io_priority { } }", "IoPriority"},
      {"seccomp", "linux { seccomp_policy { } }", "SeccompPolicy"},
      {"namespace", R"(linux { namespaces { type: "ipc" } })", "Namespace[ipc]"},
      {"sysctl", R"(linux { sysctl { key: "a.b" value: "1" } })", "Sysctl[a.b]"},
      {"net device", R"(linux { net_devices { key: "e0" value { } } })", "LinuxNetDevices[e0]"},
      {"scheduler", "linux { scheduler { } }", "LinuxSched"},
      {"rdt", "linux { rdt { clos_id { } } }", "RdtClosID"},
      {"memory policy", "linux { memory_policy { } }", "MemoryPolicy"},
  };
  for (const ConflictRow& row : rows) {
    SCOPED_TRACE(row.name);
    PluginAnswers answers("c");
    ASSERT_TRUE(answers.Add(Adjust(row.adjustment), "10-first"));
    const auto second = answers.Add(Adjust(row.adjustment), "20-second");
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, ErrorCode::kFailedPrecondition);
    for (const char* part : {"10-first", "20-second", row.field})
      EXPECT_NE(second.error().message.find(part), std::string::npos) << second.error().message;
  }
}

TEST(PluginAnswers, WhatOneRemovesAnotherMaySet) {
  PluginAnswers answers("c");
  ASSERT_TRUE(answers.Add(Adjust(R"(env { key: "K" value: "1" } args: "a"
                                    annotations { key: "n" value: "1" }
                                    mounts { destination: "/m" source: "/one" })"),
                          "10-first"));
  ASSERT_TRUE(answers.Add(Adjust(R"(env { key: "-K" } env { key: "K" value: "2" } args: "" args: "b"
                                    annotations { key: "-n" }
                                    mounts { destination: "-/m" }
                                    mounts { destination: "/m" source: "/two" })"),
                          "20-second"));
  nri::Container container = Parse<nri::Container>(
      R"(env: "K=0" env: "OTHER=x" args: "old" annotations { key: "n" value: "0" }
         mounts { destination: "/m" source: "/zero" } mounts { destination: "/n" })");
  container = DescribeAdjusted(container, answers.adjustment());
  EXPECT_EQ(container.DebugString(), Parse<nri::Container>(
                                         R"(env: "OTHER=x" env: "K=2" args: "b"
                   mounts { destination: "/n" } mounts { destination: "/m" source: "/two" })")
                                         .DebugString());
  EXPECT_EQ(answers.owners().owners().at("c").simple().at(nri::Args), "20-second");
}

TEST(PluginAnswers, HooksOfAllAreKept) {
  PluginAnswers answers("c");
  ASSERT_TRUE(answers.Add(Adjust(R"(hooks { prestart { path: "/a" } })"), "10-a"));
  ASSERT_TRUE(answers.Add(Adjust(R"(hooks { prestart { path: "/b" } })"), "20-b"));
  EXPECT_EQ(answers.adjustment().hooks().prestart_size(), 2);
  EXPECT_EQ(answers.owners().owners().at("c").simple().at(nri::OciHooks), "10-a,20-b");
}

TEST(PluginAnswers, UpdatesOfOneContainerAreOne) {
  PluginAnswers answers("c");
  const auto update = [](const std::string& resources) {
    return Parse<nri::UpdateContainerResponse>(
        R"(update { container_id: "d" linux { resources { )" + resources + " } } }");
  };
  ASSERT_TRUE(answers.Add(update("cpu { shares { value: 5 } }"), "10-a"));
  ASSERT_TRUE(answers.Add(update("memory { limit { value: 7 } }"), "20-b"));
  ASSERT_EQ(answers.updates().size(), 1u);
  EXPECT_EQ(answers.updates()[0].linux().resources().cpu().shares().value(), 5u);
  EXPECT_EQ(answers.updates()[0].linux().resources().memory().limit().value(), 7);
  EXPECT_FALSE(answers.Add(update("cpu { shares { value: 6 } }"), "30-c"));
  auto ignorable = update("cpu { shares { value: 6 } }");
  ignorable.mutable_update(0)->set_ignore_failure(true);
  EXPECT_TRUE(answers.Add(ignorable, "40-d"));
  EXPECT_EQ(answers.updates()[0].linux().resources().cpu().shares().value(), 5u);
}

TEST(PluginAnswers, AnUpdateOfTheOneThatIsCreatedIsRefused) {
  PluginAnswers answers("c");
  const auto refused =
      answers.Add(Parse<nri::CreateContainerResponse>(R"(update { container_id: "c" })"), "10-a");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace catamaran
