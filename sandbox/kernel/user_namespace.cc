#include "sandbox/kernel/user_namespace.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <iterator>
#include <sstream>
#include <vector>

#include "sandbox/base/cleanup.h"
#include "sandbox/base/files.h"
#include "sandbox/kernel/process.h"

namespace catamaran {
namespace {

Result<std::string> ProcFolderOf(int pidfd) {
  ASSIGN_OR_RETURN(const pid_t pid, PidOf(pidfd));
  return fmt::format("/proc/{}/", pid);
}

// The kernel aligns its numbers with spaces.
std::vector<std::string> WordsOf(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>(stream), {}};
}

}  // namespace

Result<UniqueFd> MakeUserNamespace(const IdMaps& maps) {
  // A namespace without a process cannot be given maps.
  ASSIGN_OR_RETURN(const auto keeper, CloneProcess({CLONE_NEWUSER, -1, true}, [] {
                     while (true) pause();
                     return 0;
                   }));
  Cleanup end([&keeper] { (void)KillAndReap(keeper.pidfd.get()); });
  RETURN_IF_ERROR(WriteIdMaps(keeper.pidfd.get(), maps));
  ASSIGN_OR_RETURN(const std::string folder, ProcFolderOf(keeper.pidfd.get()));
  return OpenFile(folder + "ns/user", O_RDONLY);
}

Result<UniqueFd> OwnerOfNamespace(int namespace_fd) {
  UniqueFd owner(ioctl(namespace_fd, NS_GET_USERNS));
  if (!owner.valid()) return FailWithErrno("find the user namespace that owns it");
  return owner;
}

Status WriteIdMaps(int pidfd, const IdMaps& maps) {
  ASSIGN_OR_RETURN(const std::string folder, ProcFolderOf(pidfd));
  RETURN_IF_ERROR(WriteExisting(folder + "uid_map", maps.uids));
  return WriteExisting(folder + "gid_map", maps.gids);
}

Status CheckIdMaps(int pidfd, const IdMaps& maps) {
  ASSIGN_OR_RETURN(const std::string folder, ProcFolderOf(pidfd));
  for (const auto& [file, wanted] : {std::pair("uid_map", maps.uids), {"gid_map", maps.gids}}) {
    ASSIGN_OR_RETURN(const std::string found, ReadFile(folder + file));
    if (WordsOf(found) != WordsOf(wanted))
      return Fail(ErrorCode::kFailedPrecondition, "its {} is \"{}\", not \"{}\"", file,
                  fmt::join(WordsOf(found), " "), fmt::join(WordsOf(wanted), " "));
  }
  return {};
}

Status BecomeNamespaceRoot() {
  if (setgroups(0, nullptr) != 0) return FailWithErrno("leave all groups");
  if (setresgid(0, 0, 0) != 0) return FailWithErrno("become the user namespace's root group");
  if (setresuid(0, 0, 0) != 0) return FailWithErrno("become the user namespace's root");
  return {};
}

}  // namespace catamaran
