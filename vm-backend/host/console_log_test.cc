#include "vm-backend/host/console_log.h"

#include <gtest/gtest.h>

#include "sandbox/base/deadline.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

class ConsoleLogTest : public testing::Test {
 protected:
  void SetUp() override {
    loop_ = *EventLoop::Create();
    auto pipe = *MakePipe();
    guest_ = std::move(pipe.write_end);
    log_ = *ConsoleLog::Create(*loop_, std::move(pipe.read_end));
  }
  std::unique_ptr<EventLoop> loop_;
  UniqueFd guest_;
  std::unique_ptr<ConsoleLog> log_;
};

TEST_F(ConsoleLogTest, KeepsTheLastWordsOnOneLine) {
  ASSERT_TRUE(WriteAll(guest_.get(), "first\nKernel panic\r\n"));
  EXPECT_EQ(log_->Tail(), "first Kernel panic");
}

TEST_F(ConsoleLogTest, DropsWhatATerminalWouldObey) {
  ASSERT_TRUE(WriteAll(guest_.get(), "a\x1b[2Jb\x07\xff\n"));
  EXPECT_EQ(log_->Tail(), "a[2Jb");
}

TEST_F(ConsoleLogTest, IsBoundedWhateverTheGuestPrints) {
  ASSERT_TRUE(SetNonBlocking(guest_.get()));
  const std::string flood(32 << 10, 'x');
  size_t written = 0;
  const Deadline deadline = Deadline::After(std::chrono::seconds(30));
  while (written < (512 << 10) && !deadline.expired()) {
    const ssize_t count = write(guest_.get(), flood.data(), flood.size());
    if (count > 0) written += static_cast<size_t>(count);
    ASSERT_TRUE(loop_->RunOnce(std::chrono::milliseconds(10)));
  }
  EXPECT_GE(written, size_t{512 << 10});
  EXPECT_LE(log_->Tail(1 << 20).size(), size_t{80 << 10});
}

}  // namespace
}  // namespace catamaran
