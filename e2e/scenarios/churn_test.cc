// Pods that come and go all the time, as jobs do: nothing grows and nothing is left.
// CATAMARAN_E2E_CHURN=RATE,SECONDS says how many a second and for how long ("20,5" where it is not
// set).
#include <algorithm>
#include <mutex>
#include <thread>

#include "e2e/harness/plain_pod.h"
#include "e2e/harness/pod_test.h"

namespace catamaran::e2e {
namespace {

using Clock = std::chrono::steady_clock;

// A pod's whole life takes a fraction of a second; this many begin theirs beside each other.
constexpr size_t kWorkers = 8;
constexpr char kVariable[] = "CATAMARAN_E2E_CHURN";

class Churn : public WorldTest {
 protected:
  void SetUp() override {
    auto loaded = world().LoadTestImage();
    ASSERT_TRUE(loaded) << loaded.error().message;
    const char* asked = getenv(kVariable);
    ASSERT_EQ(sscanf(asked != nullptr ? asked : "20,5", "%zu,%zu", &rate_, &seconds_), 2) << asked;
    ASSERT_GT(rate_, 0U) << kVariable;
    WorldTest::SetUp();
    logs_ = world().NewFolder("churn");
  }

  // Runs, starts, stops and removes one pod; how long that took, in milliseconds.
  double LiveOnce(size_t number);
  void Work(Clock::time_point begin, std::atomic<size_t>& next);

  size_t rate_ = 0, seconds_ = 0;
  std::string logs_;
  std::mutex mutex_;
  std::vector<double> lives_;   // guarded by mutex_
  double furthest_behind_ = 0;  // seconds; guarded by mutex_
};

double Churn::LiveOnce(size_t number) {
  const auto start = Clock::now();
  PlainPod pod(cri(), {"ns", "churn-" + std::to_string(number), kImage, {"/bin/true"}, logs_});
  auto status = pod.Run();
  if (status) status = pod.Create();
  if (status) status = pod.Start();
  if (status) status = pod.StopAndRemove();
  EXPECT_TRUE(status) << "pod " << number << ": " << status.error().message;
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// Takes the next pod's number and waits for its moment.
void Churn::Work(Clock::time_point begin, std::atomic<size_t>& next) {
  for (size_t number = next++; number < rate_ * seconds_ && !HasFailure(); number = next++) {
    const auto moment = begin + std::chrono::microseconds(1'000'000 * number / rate_);
    std::this_thread::sleep_until(moment);
    const double behind = std::chrono::duration<double>(Clock::now() - moment).count();
    const double took = LiveOnce(number);
    const std::lock_guard lock(mutex_);
    lives_.push_back(took);
    furthest_behind_ = std::max(furthest_behind_, behind);
  }
}

TEST_F(Churn, LeavesNothing) {
  const auto begin = Clock::now();
  std::atomic<size_t> next = 0;
  std::vector<std::thread> threads;
  for (size_t i = 0; i < kWorkers; ++i) threads.emplace_back([&] { Work(begin, next); });
  for (auto& thread : threads) thread.join();
  ASSERT_EQ(lives_.size(), rate_ * seconds_);
  const double took = std::chrono::duration<double>(Clock::now() - begin).count();
  std::sort(lives_.begin(), lives_.end());
  printf(
      "churn: %zu pods in %.1f s (asked: %zu a second; at most %.1f s behind): a pod's life %.0f "
      "ms, "
      "1 in 100 above %.0f, the longest %.0f\n",
      lives_.size(), took, rate_, furthest_behind_, lives_[lives_.size() / 2],
      lives_[lives_.size() * 99 / 100], lives_.back());
  // What is left of pods, containers, processes, mounts, groups and descriptors is seen by
  // TearDown.
}

}  // namespace
}  // namespace catamaran::e2e
