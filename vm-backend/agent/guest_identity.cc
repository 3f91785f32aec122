#include "vm-backend/agent/guest_identity.h"

#include <fcntl.h>
#include <linux/random.h>
#include <sys/ioctl.h>
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

}  // namespace

Status TakeIdentity(const spec::SandboxSpec& sandbox) {
  const spec::GuestSetup& guest = sandbox.guest();
  if (!guest.random_seed().empty()) RETURN_IF_ERROR(SeedRandom(guest.random_seed()));
  if (guest.clock_ns() > 0) {
    timespec now{};
    now.tv_sec = guest.clock_ns() / 1'000'000'000;
    now.tv_nsec = guest.clock_ns() % 1'000'000'000;
    if (clock_settime(CLOCK_REALTIME, &now) != 0) return FailWithErrno("set the clock");
  }
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
