#include "vm-backend/host/vmm_confinement.h"

#include <grp.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <sstream>

#include "sandbox/base/files.h"
#include "sandbox/container/capabilities.h"
#include "sandbox/kernel/bare_root.h"

namespace catamaran {
namespace {

constexpr uint64_t kLook = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID;

Status SeeOnly(const VmmConfinement& confinement) {
  ASSIGN_OR_RETURN(BareRoot root, BareRoot::Make());
  for (const auto& [host_path, name] : confinement.shown) {
    auto shown = root.Show(host_path, name, kLook | MOUNT_ATTR_NODEV);
    if (!shown && shown.error().code != ErrorCode::kNotFound)
      return tl::unexpected<Error>(std::move(shown).error().While("show " + host_path));
  }
  if (!confinement.device.empty())
    RETURN_IF_ERROR(root.Show(confinement.device, confinement.device, kLook | MOUNT_ATTR_NOEXEC));
  if (confinement.own_descriptors)
    RETURN_IF_ERROR(
        root.Show("/proc/self/fd", "/proc/self/fd", kLook | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
  return root.Enter();
}

Result<uint32_t> ParseNumber(std::string_view text) {
  uint32_t number = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (problem != std::errc() || end != text.data() + text.size())
    return Fail(ErrorCode::kInvalidArgument, "/etc/subuid: \"{}\" of user catamaran is no number",
                text);
  return number;
}

}  // namespace

Status Confine(const VmmConfinement& confinement) {
  std::vector<gid_t> groups;
  struct stat device;
  if (!confinement.device.empty() && stat(confinement.device.c_str(), &device) == 0)
    groups.push_back(device.st_gid);
  RETURN_IF_ERROR(SeeOnly(confinement));
  RETURN_IF_ERROR(DropBoundingSet({}));
  if (setgroups(groups.size(), groups.data()) != 0) return FailWithErrno("setgroups");
  const uint32_t user = confinement.user;
  if (setresgid(user, user, user) != 0) return FailWithErrno("become group {}", user);
  if (setresuid(user, user, user) != 0) return FailWithErrno("become user {}", user);
  RETURN_IF_ERROR(ApplyCapabilities({}));
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return FailWithErrno("no_new_privs");
  return {};
}

Result<UserRange> ParseUserRange(const std::string& subuid) {
  std::istringstream lines(subuid);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string name, first, count;
    std::getline(fields, name, ':');
    if (name != "catamaran") continue;
    std::getline(fields, first, ':');
    std::getline(fields, count, ':');
    UserRange range;
    ASSIGN_OR_RETURN(range.first, ParseNumber(first));
    ASSIGN_OR_RETURN(range.count, ParseNumber(count));
    // The last number is the one that means "none"; users of the system come first.
    if (range.first < 65536 || uint64_t{range.first} + range.count > UINT32_MAX)
      return Fail(ErrorCode::kInvalidArgument,
                  "/etc/subuid: {} users from {} for catamaran; they must lie between 65536 and {}",
                  range.count, range.first, UINT32_MAX);
    return range;
  }
  return UserRange();
}

Result<uint32_t> VmmUser() {
  const auto text = ReadFile("/etc/subuid", 1 << 20);
  ASSIGN_OR_RETURN(const UserRange range, ParseUserRange(text ? *text : ""));
  ASSIGN_OR_RETURN(const std::string most, ReadFile("/proc/sys/kernel/pid_max", 64));
  if (range.count < strtoull(most.c_str(), nullptr, 10))
    return Fail(ErrorCode::kFailedPrecondition,
                "/etc/subuid: {} users for catamaran; as many as kernel.pid_max, {}, are due",
                range.count, most.substr(0, most.find('\n')));
  return range.first + static_cast<uint32_t>(getpid());
}

}  // namespace catamaran
