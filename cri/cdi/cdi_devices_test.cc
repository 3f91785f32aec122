// From the names of devices to a container's spec, by files in folders of the test.
#include "cri/cdi/cdi_devices.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace catamaran {
namespace {

namespace fs = std::filesystem;

class CdiDevices : public testing::Test {
 protected:
  CdiDevices()
      : base_(fs::temp_directory_path() / ("cdi-test-" + std::to_string(getpid()))),
        folders_{HostPath(base_ / "low"), HostPath(base_ / "high")} {
    fs::create_directories(base_ / "low");
  }
  ~CdiDevices() override { fs::remove_all(base_); }

  // A file whose devices each set DEVICE to the file's name and their own.
  void Write(const std::string& file, const std::vector<std::string>& devices,
             const std::string& edits = R"("env":["FILE=1"])") {
    std::string text =
        R"({"cdiVersion":"1.1.0","kind":"v.com/c","containerEdits":{)" + edits + R"(},"devices":[)";
    for (const auto& device : devices)
      text += (text.back() == '[' ? "" : ",") + std::string(R"({"name":")") + device +
              R"(","containerEdits":{"env":["DEVICE=)" + file + ":" + device + R"("]}})";
    WriteText(file, text + "]}");
  }
  void WriteText(const std::string& file, const std::string& text) {
    fs::create_directories((base_ / file).parent_path());
    std::ofstream(base_ / file) << text;
  }
  void WriteEdits(const std::string& edits) {
    WriteText(
        "low/edits.json",
        R"({"cdiVersion":"1.1.0","kind":"v.com/c","devices":[{"name":"a","containerEdits":{)" +
            edits + "}}]}");
  }

  Status Apply(const std::vector<std::string>& names, bool in_vm = false) {
    HandlerConfig handler{
        "h", in_vm ? HandlerConfig::Hull::kVm : HandlerConfig::Hull::kNamespaces, {}};
    container_.Clear();
    container_.mutable_process()->add_env("DEVICE=image");
    return ApplyCdiDevices(names, folders_, handler, &container_);
  }
  std::string Refusal(const std::vector<std::string>& names, bool in_vm = false) {
    const auto applied = Apply(names, in_vm);
    return applied ? "none" : applied.error().message;
  }
  std::vector<std::string> Environment() {
    return {container_.process().env().begin(), container_.process().env().end()};
  }

  fs::path base_;
  std::vector<HostPath> folders_;
  spec::ContainerSpec container_;
};

TEST_F(CdiDevices, HaveTheirFilesEditsOnceAndTheirOwnAfterThem) {
  Write("low/a.json", {"1", "2"}, R"("env":["FILE=1"],"additionalGids":[44])");
  ASSERT_TRUE(Apply({"v.com/c=1", "v.com/c=2"}));
  EXPECT_EQ(Environment(), (std::vector<std::string>{"DEVICE=low/a.json:2", "FILE=1"}));
  ASSERT_EQ(container_.process().user().supplemental_groups_size(), 1);
  EXPECT_EQ(container_.process().user().supplemental_groups(0), 44u);
}

TEST_F(CdiDevices, OfTheLaterFolderCount) {
  Write("low/a.json", {"1", "2"});
  Write("high/b.json", {"1"});
  ASSERT_TRUE(Apply({"v.com/c=1"}));
  EXPECT_EQ(Environment()[0], "DEVICE=high/b.json:1");
  ASSERT_TRUE(Apply({"v.com/c=2"}));
  EXPECT_EQ(Environment()[0], "DEVICE=low/a.json:2");
}

TEST_F(CdiDevices, InTwoFilesOfOneFolderAreUnusableAndTheOthersAreNot) {
  Write("low/a.json", {"1", "2"});
  Write("low/b.json", {"1", "3"});
  EXPECT_NE(Refusal({"v.com/c=1"}).find("described twice"), std::string::npos);
  EXPECT_NE(Refusal({"v.com/c=1"}).find("low/b.json"), std::string::npos);
  EXPECT_TRUE(Apply({"v.com/c=2"}));
  EXPECT_TRUE(Apply({"v.com/c=3"}));
  // A folder of higher priority settles it.
  Write("high/c.json", {"1"});
  EXPECT_TRUE(Apply({"v.com/c=1"}));
}

TEST_F(CdiDevices, AreThereAsSoonAsTheirFileIsAndGoneWithIt) {
  const std::string refusal = Refusal({"v.com/c=1"});
  EXPECT_NE(refusal.find("CDI device v.com/c=1: no file of this host"), std::string::npos);
  Write("high/a.json", {"1"});
  EXPECT_TRUE(Apply({"v.com/c=1"}));
  fs::remove(base_ / "high/a.json");
  EXPECT_FALSE(Apply({"v.com/c=1"}));
}

TEST_F(CdiDevices, OfOtherFilesAreThereWhereOneIsWrong) {
  Write("low/a.json", {"1"});
  WriteText("low/b.yaml", "cdiVersion: 9.9.9\nkind: v.com/c\n");
  WriteText("low/readme.txt", "no CDI file");
  EXPECT_TRUE(Apply({"v.com/c=1"}));
  EXPECT_NE(Refusal({"v.com/c=7"}).find("b.yaml: cdiVersion \"9.9.9\""), std::string::npos)
      << Refusal({"v.com/c=7"});
}

TEST_F(CdiDevices, BecomeNodesMountsAndHooks) {
  WriteEdits(R"("deviceNodes":[{"path":"/dev/x","hostPath":"/dev/null"}],
                "mounts":[{"hostPath":"/etc","containerPath":"/host-etc","options":["ro"]}],
                "hooks":[{"hookName":"poststop","path":"/bin/true"}])");
  ASSERT_TRUE(Apply({"v.com/c=a"})) << Refusal({"v.com/c=a"});
  ASSERT_EQ(container_.devices_size(), 1);
  EXPECT_EQ(container_.devices(0).host_path(), "/dev/null");
  EXPECT_EQ(container_.devices(0).container_path(), "/dev/x");
  ASSERT_EQ(container_.mounts_size(), 1);
  EXPECT_TRUE(container_.mounts(0).readonly());
  EXPECT_EQ(container_.hooks().poststop(0).path(), "/bin/true");
}

TEST_F(CdiDevices, ThatThisHostHasNotAreRefusedByName) {
  WriteEdits(R"("deviceNodes":[{"path":"/dev/missing"}])");
  EXPECT_NE(Refusal({"v.com/c=a"}).find("CDI deviceNode /dev/missing: '/dev/missing'"),
            std::string::npos);
  WriteEdits(R"("deviceNodes":[{"path":"/dev/x","hostPath":"/etc/hosts"}])");
  EXPECT_NE(Refusal({"v.com/c=a"}).find("must be a device"), std::string::npos);
  WriteEdits(R"("mounts":[{"hostPath":"/missing","containerPath":"/x"}])");
  EXPECT_NE(Refusal({"v.com/c=a"}).find("CDI mount /x: '/missing'"), std::string::npos);
  EXPECT_FALSE(fs::exists("/missing"));
  WriteEdits(R"("netDevices":[{"hostInterfaceName":"e","name":"f"}])");
  EXPECT_NE(Refusal({"v.com/c=a"}).find("CDI netDevices"), std::string::npos);
  WriteEdits(R"("intelRdt":{"closID":"x"})");
  EXPECT_NE(Refusal({"v.com/c=a"}).find("CDI intelRdt"), std::string::npos);
}

TEST_F(CdiDevices, ThatDoNotReachIntoAVirtualMachineAreRefusedThere) {
  WriteEdits(R"("env":["A=b"],"mounts":[{"hostPath":"/etc","containerPath":"/x"}])");
  EXPECT_TRUE(Apply({"v.com/c=a"}, true));
  WriteEdits(R"("deviceNodes":[{"path":"/dev/null"}])");
  EXPECT_NE(Refusal({"v.com/c=a"}, true).find("'/dev/null' is wrong: must be a block device"),
            std::string::npos);
  WriteEdits(R"("deviceNodes":[{"path":"/dev/null","type":"c","major":1,"minor":3}])");
  EXPECT_NE(Refusal({"v.com/c=a"}, true).find("must be a block device"), std::string::npos);
  WriteEdits(R"("mounts":[{"hostPath":"/dev/null","containerPath":"/x"}])");
  EXPECT_NE(Refusal({"v.com/c=a"}, true).find("must be a file or a folder"), std::string::npos);
  WriteEdits(R"("mounts":[{"hostPath":"/etc","containerPath":"/x","options":["rslave"]}])");
  EXPECT_NE(Refusal({"v.com/c=a"}, true).find("must be private"), std::string::npos);
}

TEST(RequestedCdi, IsTheFieldsAndTheAnnotationsEachOnce) {
  runtime::v1::ContainerConfig config;
  config.add_cdi_devices()->set_name("v.com/c=1");
  (*config.mutable_annotations())["cdi.k8s.io/plugin_a"] = "v.com/c=2,v.com/c=1";
  (*config.mutable_annotations())["other.io/plugin"] = "nothing of ours";
  const auto names = RequestedCdiDevices(config);
  ASSERT_TRUE(names) << names.error().message;
  EXPECT_EQ(*names, (std::vector<std::string>{"v.com/c=1", "v.com/c=2"}));
}

TEST(RequestedCdi, NamesTheFieldThatIsWrong) {
  runtime::v1::ContainerConfig config;
  config.add_cdi_devices()->set_name("gpu");
  EXPECT_NE(RequestedCdiDevices(config).error().message.find("config.CDI_devices[0].name: 'gpu'"),
            std::string::npos);
  config.Clear();
  (*config.mutable_annotations())["cdi.k8s.io/x"] = "v.com/c=1,";
  EXPECT_TRUE(RequestedCdiDevices(config));
  (*config.mutable_annotations())["cdi.k8s.io/x"] = "v.com/c=1,,";
  EXPECT_NE(RequestedCdiDevices(config).error().message.find("config.annotations[cdi.k8s.io/x]"),
            std::string::npos);
}

}  // namespace
}  // namespace catamaran
