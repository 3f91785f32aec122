// ExecSync: output, exit code, timeout, limits.
#include "e2e/harness/pod_test.h"

namespace catamaran::e2e {
namespace {

class ExecSync : public PodTest {
 protected:
  void SetUp() override {
    PodTest::SetUp();
    if (HasFatalFailure()) return;
    pod_ = RunPod();
    container_ = StartSleeper(pod_);
    ASSERT_FALSE(container_.empty());
  }
  std::string pod_, container_;
};

TEST_P(ExecSync, GivesBothStreamsAndTheExitCode) {
  auto reply = Exec(container_, {"/bin/sh", "-c", "echo out; echo err >&2; exit 42"});
  ASSERT_TRUE(reply.ok()) << reply.message();
  EXPECT_EQ(reply->stdout(), "out\n");
  EXPECT_EQ(reply->stderr(), "err\n");
  EXPECT_EQ(reply->exit_code(), 42);
}

TEST_P(ExecSync, SeesTheContainersNamespacesAndEnvironment) {
  EXPECT_EQ(Output(container_, "hostname"), config_of(pod_).hostname() + "\n");
  EXPECT_EQ(Output(container_, "cat /proc/1/comm"), "sh\n");
  EXPECT_NE(Output(container_, "env").find("PATH=/usr/local/sbin:"), std::string::npos);
}

TEST_P(ExecSync, AtItsTimeoutIsDeadlineExceededAndTheProcessIsGone) {
  auto reply = Exec(container_, {"/bin/sh", "-c", "exec sleep 4321"}, 1);
  EXPECT_EQ(reply.code(), ErrorCode::kDeadlineExceeded) << reply.message();
  EXPECT_TRUE(
      WaitUntil([&] { return Output(container_, "ps | grep '[s]leep 4321' || true").empty(); }));
}

TEST_P(ExecSync, KeepsAtMost16MiBOfAStream) {
  auto reply =
      Exec(container_, {"/bin/sh", "-c", "dd if=/dev/zero bs=1M count=20 2>/dev/null"}, 110);
  // 16 MiB of output and its envelope exceed what the kubelet's client takes.
  if (reply.ok()) {
    EXPECT_LE(reply->stdout().size(), 16u << 20);
    EXPECT_GE(reply->stdout().size(), 15u << 20);
    EXPECT_EQ(reply->exit_code(), 0);
  } else {
    EXPECT_EQ(reply.code(), ErrorCode::kResourceExhausted) << reply.message();
  }
  EXPECT_EQ(Output(container_, "echo well"), "well\n");
}

TEST_P(ExecSync, ABackgroundChildThatHoldsThePipesDoesNotHoldTheAnswer) {
  auto reply = Exec(container_, {"/bin/sh", "-c", "sleep 600 & echo done"}, 100);
  ASSERT_TRUE(reply.ok()) << reply.message();
  EXPECT_EQ(reply->stdout(), "done\n");
  EXPECT_EQ(reply->exit_code(), 0);
}

TEST_P(ExecSync, AProgramThatIsNotThereFailsByName) {
  auto reply = Exec(container_, {"/bin/not-there"});
  if (reply.ok()) {
    EXPECT_NE(reply->exit_code(), 0);
  } else {
    EXPECT_NE(reply.message().find("not-there"), std::string::npos) << reply.message();
  }
}

TEST_P(ExecSync, OfAContainerThatDoesNotRunIsAnErrorButNotNotFound) {
  const std::string created = Create(pod_, ShellConfig("created", "true"));
  auto reply = Exec(created, {"/bin/true"});
  EXPECT_FALSE(reply.ok());
  EXPECT_NE(reply.code(), ErrorCode::kNotFound) << reply.message();
}

TEST_P(ExecSync, ByteForByteWhateverTheBytes) {
  const std::string script =
      "i=0; while [ $i -lt 256 ]; do printf \"\\\\$(printf %03o $i)\"; i=$((i+1)); done";
  const std::string bytes = Output(container_, script);
  ASSERT_EQ(bytes.size(), 256u);
  for (int i = 0; i < 256; ++i) ASSERT_EQ(static_cast<unsigned char>(bytes[i]), i);
}

TEST_P(ExecSync, LeavesNoDescriptorsInTheDaemon) {
  // The container's own child is what it will be: a fork that is no sleep yet looks like a leak.
  Output(container_, "until cat /proc/[0-9]*/comm | grep -q sleep; do :; done");
  const Snapshot before = world().TakeSnapshot();
  for (int i = 0; i < 20; ++i) Output(container_, "echo " + std::to_string(i));
  for (const auto& line : DifferencesAfterSettling(
           before, [this] { return world().TakeSnapshot(); }, std::chrono::seconds(20))) {
    ADD_FAILURE() << line;
  }
}

CATAMARAN_ON_EVERY_HANDLER(ExecSync);

}  // namespace
}  // namespace catamaran::e2e
