#include <thread>

#include "cri/pods/testing/pods_test.h"

namespace catamaran {
namespace {

class ExecSyncTest : public PodsTest {
 protected:
  void SetUp() override {
    PodsTest::SetUp();
    pod_ = Run("web").value_or("");
    container_ = Create(pod_, "main").value_or("");
    EXPECT_TRUE(Start(container_));
  }
  Result<v1::ExecSyncResponse> Exec(const std::vector<std::string>& command, int64_t timeout = 0,
                                    const CallContext& call = Call()) {
    v1::ExecSyncRequest request;
    request.set_container_id(container_);
    for (const auto& word : command) request.add_cmd(word);
    request.set_timeout(timeout);
    return ExecSync(request, call, *pods_);
  }
  size_t RunningExecs() {
    auto shim = world_->Find(pod_);
    std::lock_guard lock(world_->mutex);
    return shim->execs.size();
  }
  std::string pod_;
  std::string container_;
};

TEST_F(ExecSyncTest, GivesOutputAndExitCode) {
  const auto printed = Exec({"print", "hello\n"});
  ASSERT_OK(printed);
  EXPECT_EQ(printed->stdout(), "hello\n");
  EXPECT_EQ(printed->stderr(), "");
  EXPECT_EQ(printed->exit_code(), 0);
  const auto failed = Exec({"fail"});
  ASSERT_OK(failed);
  EXPECT_EQ(failed->exit_code(), 3);
}

TEST_F(ExecSyncTest, AProgramThatIsNotThereIsAnError) {
  EXPECT_EQ(Exec({"missing"}).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(Exec({}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(Exec({"print", ""}, -1).error().code, ErrorCode::kInvalidArgument);
}

TEST_F(ExecSyncTest, ATimeoutKillsTheProcess) {
  EXPECT_EQ(Exec({"sleep"}, 1).error().code, ErrorCode::kDeadlineExceeded);
  EXPECT_EQ(RunningExecs(), 0u);
}

TEST_F(ExecSyncTest, ACallerThatGoesAwayTakesTheProcessWithIt) {
  CallContext call = Call();
  call.is_cancelled = [] { return true; };
  EXPECT_EQ(Exec({"sleep"}, 0, call).error().code, ErrorCode::kAborted);
  EXPECT_EQ(RunningExecs(), 0u);
}

TEST_F(ExecSyncTest, ABackgroundChildThatKeepsTheOutputOpenHoldsUpNobody) {
  const auto ended = Exec({"child"});
  ASSERT_OK(ended);
  EXPECT_EQ(ended->exit_code(), 0);
}

TEST_F(ExecSyncTest, EndlessOutputIsCutWhereOneMessageIsFull) {
  const auto flood = Exec({"flood", std::to_string(20 << 20)});
  ASSERT_OK(flood);
  EXPECT_EQ(flood->stdout().size(), (16u << 20) - 4096);
  EXPECT_LT(flood->ByteSizeLong(), 16u << 20);
}

TEST_F(ExecSyncTest, AShimThatDiesEndsTheCall) {
  Result<v1::ExecSyncResponse> result;
  std::thread caller([&] { result = Exec({"sleep"}); });
  while (RunningExecs() == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  world_->KillShim(pod_);
  caller.join();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kUnavailable);
}

TEST_F(ExecSyncTest, NeedsARunningContainer) {
  ASSERT_OK(Stop(container_, 0));
  EXPECT_EQ(Exec({"print", ""}).error().code, ErrorCode::kFailedPrecondition);
}

}  // namespace
}  // namespace catamaran
