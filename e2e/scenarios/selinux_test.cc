// SELinux's labels on processes of containers and on their files, where this kernel has it and a
// policy that knows containers, as e2e/test-node has. What is said where there is none:
// process_test.cc.
#include <sys/xattr.h>

#include <filesystem>
#include <fstream>

#include "e2e/harness/pod_test.h"
#include "e2e/harness/processes.h"
#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {

constexpr char kOwnLabel[] = "cat /proc/self/attr/current";
constexpr char kEnforce[] = "/sys/fs/selinux/enforce";

class SelinuxLabels : public PodTest {
 protected:
  void SetUp() override {
    if (!Exists(kEnforce)) GTEST_SKIP() << "this kernel has no SELinux";
    PodTest::SetUp();
    if (on_vm()) GTEST_SKIP() << "a guest has none";
  }
  void TearDown() override {
    if (Exists(kEnforce)) PodTest::TearDown();
  }

  static std::string LabelOf(const std::string& path) {
    char label[256] = {};
    return lgetxattr(path.c_str(), "security.selinux", label, sizeof label - 1) < 0
               ? strerror(errno)
               : label;
  }
  std::string RunPodAt(const std::string& level) {
    auto config = PodConfig();
    config.mutable_linux()->mutable_security_context()->mutable_selinux_options()->set_level(level);
    return RunPod(config);
  }
  v1::ContainerConfig At(const std::string& level, const std::string& script) {
    auto config = ShellConfig("c" + std::to_string(++count_), script);
    config.mutable_linux()->mutable_security_context()->mutable_selinux_options()->set_level(level);
    return config;
  }
  // A volume with one file, as an administrator made it.
  std::string Volume() {
    const std::string folder = world().NewFolder("volume");
    std::ofstream(folder + "/file") << "content\n";
    return folder;
  }

  int count_ = 0;
};

TEST_P(SelinuxLabels, ALevelAloneMakesAContainersUsualLabelOfThatLevel) {
  const std::string pod = RunPodAt("s0:c1,c2");
  const std::string container = CreateAndStart(pod, At("s0:c1,c2", "exec sleep 1000"));
  const auto label = [&](const std::string& script) {
    const std::string said = Output(container, script);
    return said.substr(0, said.find('\0'));
  };
  EXPECT_EQ(label(kOwnLabel), "system_u:system_r:container_t:s0:c1,c2") << "an exec";
  EXPECT_EQ(label("cat /proc/1/attr/current"), "system_u:system_r:container_t:s0:c1,c2");
  Output(container, "touch /made /dev/shm/made");
  const std::string root = "/proc/" + std::to_string(FindPodProcess(container, "sleep")) + "/root";
  for (const char* file : {"/bin/busybox", "/made", "/dev/null", "/dev/shm/made", "/dev/mqueue"})
    EXPECT_EQ(LabelOf(root + file), "system_u:object_r:container_file_t:s0:c1,c2") << file;
}

TEST_P(SelinuxLabels, AVolumeIsRelabelledWhereThePodAsks) {
  const std::string shared = Volume(), left = Volume();
  const std::string before = LabelOf(left + "/file");
  auto config = At("s0:c1,c2", "cat /shared/file; touch /shared/made");
  AddMount(config, shared, "/shared")->set_selinux_relabel(true);
  AddMount(config, left, "/left");
  EXPECT_EQ(RunToEnd(RunPodAt("s0:c1,c2"), config).out, "content\n");
  for (const char* file : {"", "/file", "/made"})
    EXPECT_EQ(LabelOf(shared + file), "system_u:object_r:container_file_t:s0:c1,c2") << file;
  EXPECT_EQ(LabelOf(left + "/file"), before);
}

TEST_P(SelinuxLabels, PodsOfOtherLevelsAreKeptApart) {
  if (ReadFile(kEnforce).value_or("") != "1") GTEST_SKIP() << "permissive: setenforce 1";
  const std::string volume = Volume();
  auto own = At("s0:c1,c2", "cat /v/file");
  AddMount(own, volume, "/v")->set_selinux_relabel(true);
  EXPECT_EQ(RunToEnd(RunPodAt("s0:c1,c2"), own).out, "content\n");
  auto other = At("s0:c3,c4", "cat /v/file; echo x > /v/file");
  AddMount(other, volume, "/v");
  const Ended ended = RunToEnd(RunPodAt("s0:c3,c4"), other);
  EXPECT_EQ(ended.out, "");
  EXPECT_NE(ended.err.find("Permission denied"), std::string::npos) << ended.err;
  EXPECT_EQ(ReadFile(volume + "/file").value_or(""), "content\n");
}

CATAMARAN_ON_EVERY_HANDLER(SelinuxLabels);

}  // namespace
}  // namespace catamaran::e2e
