#include "sandbox/kernel/process.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>

#include "sandbox/base/deadline.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

class ChildTaskTest : public testing::Test {
 protected:
  void SetUp() override { loop_ = EventLoop::Create().value(); }

  template <typename T>
  void RunUntil(const std::optional<Result<T>>& outcome) {
    const Deadline deadline = Deadline::After(std::chrono::seconds(60));
    while (!outcome && !deadline.expired())
      ASSERT_TRUE(loop_->RunOnce(std::chrono::milliseconds(50)));
    ASSERT_TRUE(outcome) << "no report";
  }
  Result<std::string> Run(ChildTask::Work work) {
    std::optional<Result<std::string>> outcome;
    const auto task = ChildTask::Start(
        *loop_, std::move(work), [&](Result<std::string> result) { outcome = std::move(result); });
    EXPECT_FALSE(outcome) << "from within Start";
    RunUntil(outcome);
    return outcome ? std::move(*outcome) : Fail(ErrorCode::kDeadlineExceeded, "no report");
  }

  std::unique_ptr<EventLoop> loop_;
};

TEST_F(ChildTaskTest, ReportsItsTextFromAnotherProcess) {
  const auto report = Run([] { return Result<std::string>(std::to_string(getpid())); });
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_NE(*report, std::to_string(getpid()));
  EXPECT_EQ(Run([] { return Result<std::string>(std::string(64 << 10, 'x')); })->size(), 64u << 10);
}

TEST_F(ChildTaskTest, ReportsAnErrorWhole) {
  const auto report = Run([]() -> Result<std::string> { return FailErrno(ENOSPC, "write"); });
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::kResourceExhausted);
  EXPECT_EQ(report.error().system_errno, ENOSPC);
  EXPECT_EQ(report.error().message, FailErrno(ENOSPC, "write").value().message);
}

TEST_F(ChildTaskTest, AChildThatDiesOrTalksTooLongIsAnError) {
  EXPECT_EQ(Run([]() -> Result<std::string> {
              raise(SIGKILL);
              return std::string();
            })
                .error()
                .code,
            ErrorCode::kInternal);
  EXPECT_EQ(Run([] { return Result<std::string>(std::string((64 << 10) + 1, 'x')); }).error().code,
            ErrorCode::kInternal);
}

TEST_F(ChildTaskTest, WorkWithoutATextReportsHowItWent) {
  for (const bool works : {true, false}) {
    std::optional<Status> outcome;
    const auto task = ChildTask::Start(
        *loop_,
        [works]() -> Status {
          if (works) return {};
          return Fail(ErrorCode::kNotFound, "gone");
        },
        [&](Status status) { outcome = std::move(status); });
    RunUntil(outcome);
    EXPECT_EQ(outcome->has_value(), works);
    EXPECT_EQ(works ? "" : outcome->error().message, works ? "" : "gone");
  }
}

TEST_F(ChildTaskTest, MayBeDestroyedByItsReportAndKillsItsChildWhenDestroyed) {
  std::unique_ptr<ChildTask> task;
  std::optional<Status> outcome;
  task = ChildTask::Start(
      *loop_, [] { return Status(); },
      [&](Status status) {
        task.reset();
        outcome = std::move(status);
      });
  RunUntil(outcome);
  Pipe alive = MakePipe().value();
  task = ChildTask::Start(
      *loop_,
      []() -> Status {
        while (true) pause();
      },
      [](Status) { FAIL() << "reported although it was destroyed"; });
  alive.write_end.Reset();
  task.reset();
  char byte;
  EXPECT_EQ(read(alive.read_end.get(), &byte, 1), 0) << "the last writer is gone";
  ASSERT_TRUE(loop_->RunOnce(std::chrono::milliseconds(1)));
}

// In a child, whose own limit it is.
TEST_F(ChildTaskTest, SaysLaterWhyNoChildCouldBeStarted) {
  auto starter = CloneProcess({}, [] {
    auto loop = EventLoop::Create().value();
    // The limit of processes binds whoever has no capabilities (setrlimit(2)).
    constexpr uid_t kNobody = 65534;
    const rlimit none{0, 0};
    if (geteuid() == 0 && setresuid(kNobody, kNobody, kNobody) != 0) return 1;
    if (setrlimit(RLIMIT_NPROC, &none) != 0) return 1;
    std::optional<Status> outcome;
    const auto task = ChildTask::Start(
        *loop, [] { return Status(); }, [&](Status status) { outcome = std::move(status); });
    if (outcome) return 2;
    if (!loop->RunOnce(std::chrono::milliseconds(0)) || !outcome) return 3;
    return outcome->has_value() || outcome->error().system_errno != EAGAIN ? 4 : 0;
  });
  ASSERT_TRUE(starter) << starter.error().message;
  siginfo_t end{};
  ASSERT_EQ(waitid(P_PIDFD, static_cast<id_t>(starter->pidfd.get()), &end, WEXITED), 0);
  EXPECT_EQ(end.si_status, 0);
}

}  // namespace
}  // namespace catamaran
