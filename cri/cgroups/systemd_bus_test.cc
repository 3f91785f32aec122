#include "cri/cgroups/systemd_bus.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "sandbox/base/files.h"

// The systemd of this machine, where process 1 is one: e2e/test-node.
namespace catamaran {
namespace {

Deadline Soon() { return Deadline::After(std::chrono::seconds(20)); }

class SystemdBusTest : public testing::Test {
 protected:
  void SetUp() override {
    auto bus = SystemdBus::Connect(Soon());
    if (!bus) GTEST_SKIP() << bus.error().message;
    bus_ = std::make_unique<SystemdBus>(std::move(*bus));
  }
  void TearDown() override {
    for (const pid_t child : children_) {
      kill(child, SIGKILL);
      waitpid(child, nullptr, 0);
    }
    if (!bus_) return;
    const auto stopped = bus_->StopUnit(scope_, Soon());
    EXPECT_TRUE(stopped) << stopped.error().message;
  }

  pid_t RunSleeper() {
    const pid_t child = fork();
    if (child == 0) {
      while (true) pause();
    }
    children_.push_back(child);
    return child;
  }
  SystemdBus::Scope Scope(pid_t process) const {
    return {scope_, "catamaran_test.slice", description_, process};
  }
  std::string GroupOf(pid_t process) const {
    return ReadFile(fmt::format("/proc/{}/cgroup", process)).value_or("");
  }
  std::vector<std::string> Found(const std::string& description) {
    return bus_->FindUnits("catamaran-*.scope", description, Soon()).value();
  }
  bool IsGoneSoon() {
    for (int i = 0; i < 2000 && !Found(description_).empty(); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return Found(description_).empty();
  }

  std::unique_ptr<SystemdBus> bus_;
  const std::string scope_ = fmt::format("catamaran-test{}.scope", getpid());
  const std::string description_ = fmt::format("A test's ({})", getpid());
  std::vector<pid_t> children_;
};

TEST_F(SystemdBusTest, StartsAScopeInASliceFindsItAndStopsIt) {
  EXPECT_TRUE(bus_->CheckProcessIds(Soon()));
  const pid_t process = RunSleeper();
  const auto started = bus_->StartScope(Scope(process), Soon());
  ASSERT_TRUE(started) << started.error().message;
  const std::string group = "/catamaran_test.slice/" + scope_;
  EXPECT_EQ(GroupOf(process), "0::" + group + "\n") << "when it returns";
  EXPECT_EQ(bus_->GroupOf(scope_, Soon()).value(), group);
  EXPECT_EQ(ReadFile("/sys/fs/cgroup" + group + "/pids.max").value_or(""), "max\n");
  EXPECT_EQ(Found(description_), std::vector<std::string>{scope_});
  EXPECT_EQ(Found("Another's"), std::vector<std::string>());
  ASSERT_TRUE(bus_->StopUnit(scope_, Soon()));
  EXPECT_FALSE(Exists("/sys/fs/cgroup" + group)) << "when it returns";
  EXPECT_EQ(Found(description_), std::vector<std::string>());
  EXPECT_TRUE(bus_->StopUnit(scope_, Soon())) << "absent is fine";
}

TEST_F(SystemdBusTest, AnEmptyScopeGoesByItself) {
  const pid_t process = RunSleeper();
  ASSERT_TRUE(bus_->StartScope(Scope(process), Soon()));
  kill(process, SIGKILL);
  EXPECT_TRUE(IsGoneSoon());
  EXPECT_TRUE(bus_->StartScope(Scope(RunSleeper()), Soon())) << "the name is free";
}

TEST_F(SystemdBusTest, OneNameIsOneScope) {
  ASSERT_TRUE(bus_->StartScope(Scope(RunSleeper()), Soon()));
  const auto again = bus_->StartScope(Scope(RunSleeper()), Soon());
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::kAlreadyExists) << again.error().message;
}

TEST_F(SystemdBusTest, SaysInSystemdsWordsWhatItRefuses) {
  auto scope = Scope(RunSleeper());
  scope.slice = "catamaran_test.service";
  const auto refused = bus_->StartScope(scope, Soon());
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("systemd: start " + scope_), std::string::npos)
      << refused.error().message;
  EXPECT_NE(refused.error().message.find("catamaran_test.service"), std::string::npos)
      << refused.error().message;
  const pid_t gone = RunSleeper();
  kill(gone, SIGKILL);
  waitpid(gone, nullptr, 0);
  EXPECT_FALSE(bus_->StartScope(Scope(gone), Soon())) << "a process that has ended";
  EXPECT_TRUE(IsGoneSoon());
}

TEST_F(SystemdBusTest, WaitsNoLongerThanItMay) {
  const auto late =
      bus_->StartScope(Scope(RunSleeper()), Deadline::After(std::chrono::milliseconds(0)));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::kDeadlineExceeded) << late.error().message;
}

TEST_F(SystemdBusTest, NoticesAPidNamespaceThatIsNotTheMachines) {
  const pid_t outer = fork();
  if (outer == 0) {
    if (unshare(CLONE_NEWPID) != 0) _exit(9);
    const pid_t inner = fork();
    if (inner == 0) {
      auto bus = SystemdBus::Connect(Soon());
      if (!bus) _exit(8);
      const auto checked = bus->CheckProcessIds(Soon());
      _exit(!checked && checked.error().code == ErrorCode::kFailedPrecondition ? 0 : 7);
    }
    int status = 0;
    waitpid(inner, &status, 0);
    _exit(WEXITSTATUS(status));
  }
  int status = 0;
  waitpid(outer, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(SystemdBus, SaysThatThereIsNoBus) {
  setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/tmp/no-such-bus", 1);
  const auto bus = SystemdBus::Connect(Soon());
  unsetenv("DBUS_SYSTEM_BUS_ADDRESS");
  ASSERT_FALSE(bus);
  EXPECT_EQ(bus.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(
      bus.error().message,
      "no systemd can be asked: the system's D-Bus does not answer: No such file or directory");
}

}  // namespace
}  // namespace catamaran
