#include "vm-backend/host/accelerator.h"

#include <chrono>
#include <thread>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace catamaran {

std::string_view AcceleratorName(Accelerator accelerator) {
  return accelerator == Accelerator::kKvm ? "kvm" : "tcg";
}

Result<Accelerator> ChooseAccelerator(const Status& kvm, bool allow_emulation) {
  if (kvm) return Accelerator::kKvm;
  if (allow_emulation) return Accelerator::kTcg;
  return Fail(ErrorCode::kFailedPrecondition,
              "this host cannot run virtual machines: {}; enable hardware virtualisation, or set "
              "allow_emulation: true to run slow, insecure emulated machines",
              kvm.error().message);
}

#if defined(__x86_64__)
namespace {

struct TscSample {
  uint64_t cycles = 0;
  int64_t nanoseconds = 0;
};

// Both clocks at one moment: of several tries the one that nothing interrupted.
TscSample SampleTsc() {
  TscSample best;
  uint64_t smallest_gap = UINT64_MAX;
  for (int i = 0; i < 16; ++i) {
    const uint64_t before = __rdtsc();
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    const uint64_t after = __rdtsc();
    if (after - before >= smallest_gap) continue;
    smallest_gap = after - before;
    best = {before + smallest_gap / 2,
            std::chrono::duration_cast<std::chrono::nanoseconds>(now).count()};
  }
  return best;
}

}  // namespace

uint64_t HostTscKhz() {
  const TscSample first = SampleTsc();
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  const TscSample last = SampleTsc();
  const auto nanoseconds = static_cast<double>(last.nanoseconds - first.nanoseconds);
  if (nanoseconds <= 0 || last.cycles <= first.cycles) return 0;
  const double khz = static_cast<double>(last.cycles - first.cycles) * 1e6 / nanoseconds;
  return static_cast<uint64_t>(khz / 10'000 + 0.5) * 10'000;
}
#else
uint64_t HostTscKhz() { return 0; }
#endif

}  // namespace catamaran
