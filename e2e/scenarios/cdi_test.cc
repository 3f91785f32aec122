// Devices by CDI names: the files are the test's, in the folders of the run's configuration.
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "e2e/harness/pod_test.h"
#include "e2e/harness/processes.h"

namespace catamaran::e2e {
namespace {

class Cdi : public PodTest {
 protected:
  void SetUp() override {
    PodTest::SetUp();
    if (!HasFatalFailure()) pod_ = RunPod();
  }
  void TearDown() override {
    std::filesystem::remove_all(Folder());
    PodTest::TearDown();
  }

  std::string Folder() { return world().paths().base + "/cdi"; }
  void Write(const std::string& file, const std::string& text) {
    std::filesystem::create_directories(Folder());
    std::ofstream(Folder() + "/" + file) << text;
  }
  // A file with one device, test.dev/thing=one.
  void WriteEdits(const std::string& edits) {
    Write("thing.json", R"({"cdiVersion":"1.0.0","kind":"test.dev/thing","devices":[{"name":"one",)"
                        R"("containerEdits":{)" +
                            edits + "}}]}");
  }
  v1::ContainerConfig With(const std::string& script) {
    auto config = ShellConfig("c" + std::to_string(++count_), script);
    config.add_cdi_devices()->set_name("test.dev/thing=one");
    return config;
  }
  std::string Refusal(const v1::ContainerConfig& config) {
    auto created = TryCreate(pod_, config);
    return created.ok() ? "none" : created.message();
  }

  std::string pod_;
  int count_ = 0;
};

TEST_P(Cdi, EditsOfAFileAndItsDeviceAreInTheContainer) {
  const std::string host = world().NewFolder("cdi-mount");
  std::ofstream(host + "/driver") << "version 7\n";
  Write("thing.yaml",
        "cdiVersion: 0.7.0\n"
        "kind: test.dev/thing\n"
        "containerEdits:\n"
        "  env: [ALL=of-the-file]\n"
        "devices:\n"
        "- name: one\n"
        "  containerEdits:\n"
        "    env: [\"ONE=of the device\"]\n"
        "    additionalGids: [4711]\n"
        "    mounts:\n"
        "    - {hostPath: " +
            host + ", containerPath: /opt/driver, options: [ro]}\n");
  EXPECT_EQ(RunToEnd(pod_, With("echo $ALL, $ONE; id -G; cat /opt/driver/driver; "
                                "touch /opt/driver/x 2>/dev/null || echo read-only"))
                .out,
            "of-the-file, of the device\n0 4711\nversion 7\nread-only\n");
}

TEST_P(Cdi, AnnotationsNameDevicesToo) {
  WriteEdits(R"("env":["THING=there"])");
  auto config = ShellConfig("main", "echo $THING");
  (*config.mutable_annotations())["cdi.k8s.io/plugin"] = "test.dev/thing=one";
  EXPECT_EQ(RunToEnd(pod_, config).out, "there\n");
}

TEST_P(Cdi, ADeviceThatNobodyDescribesIsRefusedUntilSomebodyDoes) {
  EXPECT_NE(Refusal(With("true")).find("CDI device test.dev/thing=one"), std::string::npos);
  WriteEdits(R"("env":["THING=there"])");
  EXPECT_EQ(RunToEnd(pod_, With("echo $THING")).out, "there\n");
}

TEST_P(Cdi, CharacterDevicesAreThereInNamespacesAndRefusedInAVm) {
  WriteEdits(R"("deviceNodes":[{"path":"/dev/thing0","hostPath":"/dev/full","fileMode":384}])");
  auto config = With("stat -c '%F %a %u %t:%T' /dev/thing0; echo x 2>&1 >/dev/thing0");
  config.mutable_linux()->mutable_security_context()->mutable_run_as_user()->set_value(1000);
  if (on_vm()) {
    EXPECT_NE(Refusal(config).find("'/dev/full' is wrong: must be a block device"),
              std::string::npos)
        << Refusal(config);
    return;
  }
  const Ended ended = RunToEnd(pod_, config);
  EXPECT_EQ(ended.out.find("character special file 600 1000 1:7\n"), 0u) << ended.out;
  EXPECT_NE((ended.out + ended.err).find("No space left"), std::string::npos) << ended.err;
}

TEST_P(Cdi, BlockDevicesAreThereOnEveryHull) {
  const std::string file = world().NewFolder("cdi-block") + "/disk";
  std::ofstream(file) << "on the disk\n";
  std::filesystem::resize_file(file, 8 << 20);
  const auto attached = RunProgram({"/sbin/losetup", "--find", "--show", file});
  ASSERT_EQ(attached.exit_code, 0) << attached.output;
  const std::string device = attached.output.substr(0, attached.output.find('\n'));
  WriteEdits(R"("deviceNodes":[{"path":"/dev/thing0","hostPath":")" + device +
             R"(","permissions":"rm","fileMode":416}])");
  EXPECT_EQ(RunToEnd(pod_, With("head -c 12 /dev/thing0; stat -c '%a %u' /dev/thing0")).out,
            "on the disk\n640 0\n");
  StopAndRemovePod(pod_);
  EXPECT_EQ(RunProgram({"/sbin/losetup", "-d", device}).exit_code, 0);
}

TEST_P(Cdi, HooksRunInNamespacesAndThoseOfTheHostAreRefusedInAVm) {
  const std::string notes = world().NewFolder("cdi-hooks");
  WriteEdits(R"("hooks":[{"hookName":"createRuntime","path":"/bin/sh",
                          "args":["sh","-c","cat > )" +
             notes + R"(/state"]},
                         {"hookName":"poststop","path":"/bin/sh",
                          "args":["sh","-c","touch )" +
             notes + R"(/stopped"]}])");
  if (on_vm()) {
    EXPECT_NE(Refusal(With("true")).find("hooks: programs of the node"), std::string::npos)
        << Refusal(With("true"));
    return;
  }
  const std::string id = CreateAndStart(pod_, With("sleep 100000"));
  std::ifstream state(notes + "/state");
  const std::string text((std::istreambuf_iterator<char>(state)), std::istreambuf_iterator<char>());
  EXPECT_NE(text.find("\"id\":\"" + id + "\""), std::string::npos) << text;
  EXPECT_NE(text.find("\"status\":\"creating\""), std::string::npos) << text;
  StopAndRemovePod(pod_);
  EXPECT_TRUE(std::filesystem::exists(notes + "/stopped"));
}

TEST_P(Cdi, AHookThatFailsLeavesNothing) {
  if (on_vm()) GTEST_SKIP() << "hooks of the host are refused";
  WriteEdits(R"("hooks":[{"hookName":"createContainer","path":"/bin/sh",
                          "args":["sh","-c","echo no driver >&2; exit 3"]}])");
  EXPECT_NE(Refusal(With("true")).find("exit status 3: no driver"), std::string::npos)
      << Refusal(With("true"));
}

CATAMARAN_ON_EVERY_HANDLER(Cdi);

}  // namespace
}  // namespace catamaran::e2e
