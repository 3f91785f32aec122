// AppArmor's profiles on processes of containers, where this kernel has it. What is said where it
// has not: process_test.cc.
#include "e2e/harness/pod_test.h"
#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {

constexpr char kParser[] = "/usr/sbin/apparmor_parser";
constexpr char kShowProfile[] = "cat /proc/self/attr/current";

class AppArmorProfiles : public PodTest {
 protected:
  void SetUp() override {
    if (!Exists("/sys/kernel/security/apparmor/profiles"))
      GTEST_SKIP() << "this kernel has no AppArmor";
    PodTest::SetUp();
    if (on_vm()) GTEST_SKIP() << "a guest has none";
    if (!HasFatalFailure()) pod_ = RunPod();
  }
  void TearDown() override {
    if (Exists("/sys/kernel/security/apparmor/profiles")) PodTest::TearDown();
  }

  v1::ContainerConfig Confined(const std::string& name, const std::string& script,
                               v1::SecurityProfile::ProfileType type,
                               const std::string& localhost = "") {
    auto config = ShellConfig(name, script);
    auto* apparmor = config.mutable_linux()->mutable_security_context()->mutable_apparmor();
    apparmor->set_profile_type(type);
    apparmor->set_localhost_ref(localhost);
    return config;
  }

  std::string pod_;
};

TEST_P(AppArmorProfiles, TheDefaultIsOnEveryContainerThatAsksForNothingElse) {
  constexpr char kDefault[] = "catamaran-default (enforce)\n";
  EXPECT_EQ(RunToEnd(pod_, ShellConfig("silent", kShowProfile)).out, kDefault);
  EXPECT_EQ(
      RunToEnd(pod_, Confined("asked", kShowProfile, v1::SecurityProfile::RuntimeDefault)).out,
      kDefault);
  EXPECT_EQ(
      RunToEnd(pod_, Confined("unconfined", kShowProfile, v1::SecurityProfile::Unconfined)).out,
      "unconfined\n");
  EXPECT_EQ(Output(StartSleeper(pod_), kShowProfile), kDefault) << "an exec";
}

TEST_P(AppArmorProfiles, TheDefaultHoldsWhereCapabilitiesWouldNot) {
  const auto mount_with = [&](v1::SecurityProfile::ProfileType type) {
    auto config = Confined("mighty" + std::to_string(type),
                           "mkdir /new; mount -t tmpfs none /new 2>&1 && echo mounted", type);
    config.mutable_linux()
        ->mutable_security_context()
        ->mutable_capabilities()
        ->add_add_capabilities("SYS_ADMIN");
    return RunToEnd(pod_, config).out;
  };
  EXPECT_EQ(mount_with(v1::SecurityProfile::Unconfined), "mounted\n");
  EXPECT_EQ(mount_with(v1::SecurityProfile::RuntimeDefault),
            "mount: mounting none on /new failed: Permission denied\n");
}

TEST_P(AppArmorProfiles, OneOfTheNodeIsApplied) {
  const std::string file = world().NewFolder("apparmor") + "/profile";
  ASSERT_TRUE(ReplaceFile(file,
                          "profile catamaran-e2e flags=(attach_disconnected,mediate_deleted) {\n"
                          "  file,\n  capability,\n  network,\n  signal,\n"
                          "  deny /forbidden w,\n}\n",
                          0600, Durability::kProcessCrash));
  const auto loaded = RunProgram({kParser, "--replace", "--skip-cache", file});
  ASSERT_EQ(loaded.exit_code, 0) << loaded.output;
  const auto ended =
      RunToEnd(pod_, Confined("confined",
                              std::string(kShowProfile) +
                                  "; touch /allowed && echo allowed; touch /forbidden 2>&1",
                              v1::SecurityProfile::Localhost, "localhost/catamaran-e2e"));
  EXPECT_EQ(ended.out, "catamaran-e2e (enforce)\nallowed\ntouch: /forbidden: Permission denied\n");
  EXPECT_EQ(RunProgram({kParser, "--remove", file}).exit_code, 0);
  const auto gone =
      TryCreate(pod_, Confined("gone", "true", v1::SecurityProfile::Localhost, "catamaran-e2e"));
  EXPECT_FALSE(gone.ok());
  EXPECT_NE(gone.message().find("catamaran-e2e"), std::string::npos) << gone.message();
}

CATAMARAN_ON_EVERY_HANDLER(AppArmorProfiles);

}  // namespace
}  // namespace catamaran::e2e
