#include "vm-backend/agent/guest_identity.h"

#include <fcntl.h>
#include <linux/random.h>
#include <sys/ioctl.h>
#include <sys/timex.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <ctime>
#include <memory>

#include "sandbox/base/files.h"

namespace catamaran {
namespace {

constexpr size_t kLongestSeed = 4096;

// Mixes the seed into the input pool, then makes the generator take a new key from it (random(4)):
// without the second step it would go on with the template's key for minutes.
Status SeedRandom(const std::string& seed) {
  if (seed.size() > kLongestSeed)
    return Fail(ErrorCode::kInvalidArgument, "random seed: {} bytes, at most {} are taken",
                seed.size(), kLongestSeed);
  ASSIGN_OR_RETURN(UniqueFd random, OpenFile("/dev/urandom", O_RDWR));
  // struct rand_pool_info: bits of entropy, bytes of seed, the seed.
  const int32_t header[2] = {static_cast<int32_t>(seed.size() * 8),
                             static_cast<int32_t>(seed.size())};
  std::string request(reinterpret_cast<const char*>(header), sizeof header);
  request += seed;
  if (ioctl(random.get(), RNDADDENTROPY, request.data()) != 0)
    return FailWithErrno("RNDADDENTROPY");
  if (ioctl(random.get(), RNDRESEEDCRNG) != 0) return FailWithErrno("RNDRESEEDCRNG");
  return {};
}

// In one call: whatever delays this process does not enter.
Status StepClock(int64_t step_ns) {
  constexpr int64_t kSecond = 1'000'000'000;
  if (step_ns == 0) return {};
  timex change{};
  change.modes = ADJ_SETOFFSET | ADJ_NANO;
  change.time.tv_sec = step_ns / kSecond;
  change.time.tv_usec = step_ns % kSecond;  // nanoseconds here, and never negative
  if (change.time.tv_usec < 0) {
    change.time.tv_usec += kSecond;
    --change.time.tv_sec;
  }
  if (clock_adjtime(CLOCK_REALTIME, &change) < 0) return FailWithErrno("set the clock");
  return {};
}

}  // namespace

Status TakeIdentity(const spec::SandboxSpec& sandbox) {
  const spec::GuestSetup& guest = sandbox.guest();
  if (!guest.random_seed().empty()) RETURN_IF_ERROR(SeedRandom(guest.random_seed()));
  RETURN_IF_ERROR(StepClock(guest.clock_step_ns()));
  if (!sandbox.hostname().empty() &&
      sethostname(sandbox.hostname().data(), sandbox.hostname().size()) != 0)
    return FailWithErrno("set the hostname \"{}\"", sandbox.hostname());
  if (!guest.machine_id().empty())
    RETURN_IF_ERROR(
        ReplaceFile("/etc/machine-id", guest.machine_id() + "\n", 0444, Durability::kProcessCrash));
  return {};
}

Result<std::map<std::string, std::string>> ApplyNetworkSysctls(const spec::SandboxSpec& sandbox) {
  std::map<std::string, std::string> others;
  for (const auto& [key, value] : sandbox.sysctls()) {
    if (!key.starts_with("net.") && !key.starts_with("net/")) {
      others[key] = value;
      continue;
    }
    std::string path = key;
    // "net.ipv4.conf.eth0/1.x" spells an interface's dot as a slash; see sysctl(8).
    if (path.starts_with("net."))
      for (char& c : path) c = c == '.' ? '/' : c == '/' ? '.' : c;
    if (("/" + path + "/").find("/../") != std::string::npos)
      return Fail(ErrorCode::kInvalidArgument, "sysctl \"{}\": not a name below net", key);
    if (auto written = WriteExisting("/proc/sys/" + path, value); !written)
      return Fail(ErrorCode::kInvalidArgument, "sysctl \"{}\" = \"{}\": {}", key, value,
                  written.error().message);
  }
  return others;
}

}  // namespace catamaran
