// The loader with a kernel's list and a parser of the test's own; the profile with the real parser.
#include "cri/apparmor/apparmor.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "cri/apparmor/default_profile.h"
#include "cri/base/program_run.h"
#include "sandbox/base/files.h"
#include "sandbox/kernel/security_modules.h"

namespace catamaran {
namespace {

namespace fs = std::filesystem;

const Deadline kSoon = Deadline::After(std::chrono::seconds(60));

class FakeHost : public testing::Test {
 protected:
  FakeHost() : base_(fs::temp_directory_path() / ("apparmor-test-" + std::to_string(getpid()))) {
    fs::create_directories(base_);
    Write("profiles", "other (enforce)\n");
  }
  ~FakeHost() override { fs::remove_all(base_); }

  void Write(const std::string& name, const std::string& text) {
    std::ofstream(base_ / name) << text;
  }
  // It notes its arguments and input, and lists the profile as the kernel would.
  void InstallParser(const std::string& ends = "exit 0") {
    Write("parser", "#!/bin/sh\necho \"$@\" >> " + (base_ / "calls").string() + "\ncat > " +
                        (base_ / "input").string() + "\necho 'catamaran-default (enforce)' >> " +
                        (base_ / "profiles").string() + "\n" + ends + "\n");
    chmod((base_ / "parser").c_str(), 0755);
  }
  size_t Calls() {
    const std::string calls = ReadFile(base_ / "calls").value_or("");
    return static_cast<size_t>(std::count(calls.begin(), calls.end(), '\n'));
  }

  fs::path base_;
};

TEST_F(FakeHost, GetsTheProfileOnceForEachDaemon) {
  InstallParser();
  AppArmor first({HostPath(base_ / "profiles"), {HostPath(base_ / "parser")}});
  ASSERT_TRUE(first.EnsureDefaultProfile(kSoon));
  ASSERT_TRUE(first.EnsureDefaultProfile(kSoon));
  EXPECT_EQ(Calls(), 1u);
  EXPECT_EQ(ReadFile(base_ / "input").value_or(""), DefaultAppArmorProfileText());
  EXPECT_NE(ReadFile(base_ / "calls").value_or("").find("--replace"), std::string::npos);
  // Another build's may be there.
  AppArmor next({HostPath(base_ / "profiles"), {HostPath(base_ / "parser")}});
  ASSERT_TRUE(next.EnsureDefaultProfile(kSoon));
  EXPECT_EQ(Calls(), 2u);
}

TEST_F(FakeHost, GetsTheProfileAgainWhenItWasUnloaded) {
  InstallParser();
  AppArmor apparmor({HostPath(base_ / "profiles"), {HostPath(base_ / "parser")}});
  ASSERT_TRUE(apparmor.EnsureDefaultProfile(kSoon));
  Write("profiles", "other (enforce)\n");
  ASSERT_TRUE(apparmor.EnsureDefaultProfile(kSoon));
  EXPECT_EQ(Calls(), 2u);
}

TEST_F(FakeHost, WithoutAParserHasItOnlyWhereItIsLoaded) {
  AppArmor apparmor({HostPath(base_ / "profiles"), {HostPath(base_ / "parser")}});
  const auto refused = apparmor.EnsureDefaultProfile(kSoon);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_NE(refused.error().message.find("no apparmor_parser"), std::string::npos);
  Write("profiles", "catamaran-default (enforce)\n");
  EXPECT_TRUE(apparmor.EnsureDefaultProfile(kSoon));
}

TEST_F(FakeHost, SaysWhatItsParserSaid) {
  InstallParser("echo 'no such syntax' >&2; exit 1");
  AppArmor apparmor({HostPath(base_ / "profiles"), {HostPath(base_ / "parser")}});
  const auto refused = apparmor.EnsureDefaultProfile(kSoon);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("ended with 1: no such syntax"), std::string::npos)
      << refused.error().message;
}

TEST(DefaultProfile, IsAnEnforcingProfileOfItsName) {
  const std::string text(DefaultAppArmorProfileText());
  EXPECT_EQ(text.find("profile " + std::string(kDefaultAppArmorProfile) + " flags=("), 0u);
  EXPECT_EQ(text.find("complain"), std::string::npos);
  EXPECT_EQ(text.find("include"), std::string::npos) << "abstractions may be missing";
  for (const char* denied :
       {"deny mount,", "deny pivot_root,", "sysrq-trigger", "kcore", "/sys/firmware/**",
        "/sys/devices/virtual/powercap/**", "/sys/kernel/security/**", "deny /proc/sys/kernel/"})
    EXPECT_NE(text.find(denied), std::string::npos) << denied;
}

TEST(DefaultProfile, IsWhatTheParserUnderstands) {
  const char* parser = getenv("APPARMOR_PARSER");
  const std::string path = parser != nullptr ? parser : "/usr/sbin/apparmor_parser";
  if (!Exists(path)) GTEST_SKIP() << "this host has no apparmor_parser";
  const auto program = OpenFile(path, O_PATH);
  ASSERT_TRUE(program);
  const auto end = RunProgram(*program,
                              {.args = {"apparmor_parser", "--skip-kernel-load", "--skip-cache"},
                               .input = std::string(DefaultAppArmorProfileText())},
                              kSoon);
  ASSERT_TRUE(end) << end.error().message;
  EXPECT_EQ(end->exit_code, 0) << end->diagnostics;
}

TEST(DefaultProfile, IsLoadedIntoARealKernel) {
  if (!KernelHasAppArmor()) GTEST_SKIP() << "this kernel has no AppArmor";
  AppArmor apparmor;
  const auto loaded = apparmor.EnsureDefaultProfile(kSoon);
  EXPECT_TRUE(loaded) << loaded.error().message;
}

}  // namespace
}  // namespace catamaran
