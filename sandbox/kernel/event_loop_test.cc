#include "sandbox/kernel/event_loop.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

#include "sandbox/base/files.h"

namespace catamaran {
namespace {

using std::chrono::milliseconds;

TEST(EventLoop, ReportsReadableDescriptorsUntilCancelled) {
  auto loop = EventLoop::Create().value();
  auto pipe = MakePipe().value();
  int calls = 0;
  auto watch = loop->WatchFd(pipe.read_end.get(), EPOLLIN, [&](uint32_t) { ++calls; }).value();
  ASSERT_TRUE(loop->RunOnce(milliseconds(0)));
  EXPECT_EQ(calls, 0);
  ASSERT_TRUE(WriteAll(pipe.write_end.get(), "x"));
  ASSERT_TRUE(loop->RunOnce(milliseconds(0)));
  ASSERT_TRUE(loop->RunOnce(milliseconds(0)));
  EXPECT_EQ(calls, 2);  // level-triggered
  watch.Cancel();
  ASSERT_TRUE(loop->RunOnce(milliseconds(0)));
  EXPECT_EQ(calls, 2);
}

TEST(EventLoop, AWatchMayCancelItselfAndOthersOfTheSameRound) {
  auto loop = EventLoop::Create().value();
  auto pipe = MakePipe().value();
  auto other = MakePipe().value();
  ASSERT_TRUE(WriteAll(pipe.write_end.get(), "x"));
  ASSERT_TRUE(WriteAll(other.write_end.get(), "x"));
  int calls = 0;
  EventLoop::Watch first, second;
  auto cancel_both = [&](uint32_t) {
    ++calls;
    first.Cancel();
    second.Cancel();
  };
  first = loop->WatchFd(pipe.read_end.get(), EPOLLIN, cancel_both).value();
  second = loop->WatchFd(other.read_end.get(), EPOLLIN, cancel_both).value();
  ASSERT_TRUE(loop->RunOnce(milliseconds(0)));
  EXPECT_EQ(calls, 1);
}

TEST(EventLoop, TimersRunOnceAndPostedWorkRunsInOrder) {
  auto loop = EventLoop::Create().value();
  std::string order;
  std::thread poster([&] {
    loop->Post([&] { order += "a"; });
    loop->Post([&] { order += "b"; });
  });
  poster.join();
  ASSERT_TRUE(loop->RunOnce(milliseconds(0)));
  auto timer = loop->RunAfter(milliseconds(5),
                              [&] {
                                order += "t";
                                loop->Stop();
                              })
                   .value();
  ASSERT_TRUE(loop->Run());
  EXPECT_EQ(order, "abt");
}

}  // namespace
}  // namespace catamaran
