#include "vm-backend/host/host_findings.h"

#include <sys/stat.h>
#include <time.h>

#include <sstream>

#include "sandbox/base/files.h"
#include "vm-backend/host/accelerator.h"

namespace catamaran {
namespace {

constexpr std::chrono::seconds kFailureHolds(60);

}  // namespace

HostFindings ExamineHost() { return {ProbeKvm(), HostTscKhz()}; }

HostIdentity HostIdentity::Now() {
  HostIdentity identity;
  if (auto boot_id = ReadBootId()) identity.boot_id = *boot_id;
  struct stat status;
  if (stat("/dev/kvm", &status) == 0)
    identity.kvm = fmt::format("{}.{}.{}.{}", status.st_ino, status.st_rdev, status.st_ctim.tv_sec,
                               status.st_ctim.tv_nsec);
  return identity;
}

std::chrono::seconds HostUptime() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return std::chrono::seconds(now.tv_sec);
}

// Lines: boot id, device, uptime, frequency, what is wrong with KVM.
std::string EncodeFindings(const HostFindings& findings, const HostIdentity& identity,
                           std::chrono::seconds found_at) {
  return fmt::format("{}\n{}\n{}\n{}\n{}\n", identity.boot_id, identity.kvm, found_at.count(),
                     findings.tsc_khz, findings.kvm ? std::string() : findings.kvm.error().message);
}

Result<HostFindings> DecodeFindings(const std::string& text, const HostIdentity& identity,
                                    std::chrono::seconds now) {
  std::istringstream lines(text);
  std::string boot_id, kvm, found_at, khz, failure;
  std::getline(lines, boot_id);
  std::getline(lines, kvm);
  std::getline(lines, found_at);
  std::getline(lines, khz);
  std::getline(lines, failure);
  if (!lines || lines.eof()) return Fail(ErrorCode::kNotFound, "no findings");
  if (boot_id != identity.boot_id || kvm != identity.kvm)
    return Fail(ErrorCode::kNotFound, "findings about another host");
  const std::chrono::seconds age =
      now - std::chrono::seconds(strtoll(found_at.c_str(), nullptr, 10));
  HostFindings findings;
  findings.tsc_khz = strtoull(khz.c_str(), nullptr, 10);
  if (failure.empty()) return findings;
  if (age < std::chrono::seconds(0) || age >= kFailureHolds)
    return Fail(ErrorCode::kNotFound, "a failure found {} s ago", age.count());
  findings.kvm = Fail(ErrorCode::kFailedPrecondition, "{}", failure);
  return findings;
}

}  // namespace catamaran
