#include "cri/doctor/thread_probe.h"

#include <atomic>
#include <future>
#include <memory>
#include <thread>

namespace catamaran {
namespace {

std::atomic<bool> threads_left{false};

}  // namespace

bool ProbeThreadsLeft() { return threads_left; }

Finding RunProbeInThread(const Probe& probe, std::chrono::milliseconds patience) {
  auto promise = std::make_shared<std::promise<Result<Finding>>>();
  auto answer = promise->get_future();
  std::thread thread([promise, run = probe.run] { promise->set_value(run()); });
  Result<Finding> outcome =
      Fail(ErrorCode::kDeadlineExceeded, "no answer within {} s", patience.count() / 1000);
  if (answer.wait_for(patience) == std::future_status::ready) {
    outcome = answer.get();
    thread.join();
  } else {
    threads_left = true;
    thread.detach();
  }
  if (probe.clean_up) probe.clean_up();
  if (!outcome) return FailedProbe(probe, outcome.error());
  if (outcome->name.empty()) outcome->name = probe.name;
  return std::move(*outcome);
}

}  // namespace catamaran
