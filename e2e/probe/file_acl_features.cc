// POSIX ACLs (acl(5)), sticky folders and set-id programs: who else may.
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <vector>

#include "e2e/probe/feature_tries.h"

namespace catamaran::e2e {
namespace {

constexpr char kAccess[] = "system.posix_acl_access";
constexpr char kDefault[] = "system.posix_acl_default";
constexpr uid_t kNamed = 1234;

// As the kernel has it in an extended attribute, linux/posix_acl_xattr.h.
enum Tag : uint16_t { kOwner = 1, kUser = 2, kGroup = 4, kMask = 0x10, kOthers = 0x20 };
struct Entry {
  uint16_t tag;
  uint16_t permissions;
  uint32_t id = ~0u;
};

int SetAcl(const char* name, const char* kind, const std::vector<Entry>& entries) {
  std::string value({2, 0, 0, 0});  // its version
  value.append(reinterpret_cast<const char*>(entries.data()), entries.size() * sizeof(Entry));
  return setxattr(name, kind, value.data(), value.size(), 0) == 0 ? 0 : errno;
}

template <uid_t user, gid_t group>
int Become() {
  return setgid(group) == 0 && setuid(user) == 0 ? 0 : errno;
}

}  // namespace

int AclGrantsAndDenies() {
  Create("f", "content");
  if (chmod("f", 0600) != 0 || chmod(".", 0755) != 0) return errno;
  if (const int problem = SetAcl(
          "f", kAccess, {{kOwner, 6}, {kUser, 4, kNamed}, {kGroup, 0}, {kMask, 4}, {kOthers, 0}}))
    return problem;
  struct stat status;
  if (stat("f", &status) != 0) return errno;
  if ((status.st_mode & 0777) != 0640) return kWrong;  // the mask shows as the group's
  const int named = InChild([] {
    if (const int problem = Become<kNamed, 2345>()) return problem;
    if (open("f", O_RDONLY) < 0) return errno;
    return Outcome(open("f", O_RDWR) < 0 && errno == EACCES);
  });
  if (named != 0) return named;
  // The mode alone would let the group in.
  return InChild([] {
    if (const int problem = Become<4321, 0>()) return problem;
    return Outcome(open("f", O_RDONLY) < 0 && errno == EACCES);
  });
}

int AclsAreInherited() {
  if (mkdir("d", 0755) != 0 || chmod(".", 0755) != 0) return errno;
  if (const int problem = SetAcl(
          "d", kDefault, {{kOwner, 7}, {kUser, 7, kNamed}, {kGroup, 5}, {kMask, 7}, {kOthers, 0}}))
    return problem;
  const mode_t before = umask(077);
  const int made = open("d/f", O_CREAT | O_WRONLY, 0666);
  const int folder = mkdir("d/below", 0777);
  umask(before);
  struct stat status;
  if (made < 0 || folder != 0 || stat("d/f", &status) != 0) return errno;
  // The umask counts only where there is no default ACL.
  if ((status.st_mode & 0777) != 0660) return kWrong;
  if (getxattr("d/below", kDefault, nullptr, 0) <= 0) return errno;
  return InChild([] {
    if (const int problem = Become<kNamed, 2345>()) return problem;
    return open("d/f", O_RDWR) < 0 || open("d/below/new", O_CREAT | O_RDWR, 0600) < 0 ? errno : 0;
  });
}

int ChmodChangesTheAcl() {
  Create("f");
  if (const int problem = SetAcl(
          "f", kAccess, {{kOwner, 6}, {kUser, 6, kNamed}, {kGroup, 6}, {kMask, 6}, {kOthers, 0}}))
    return problem;
  if (chmod("f", 0640) != 0 || chmod(".", 0755) != 0) return errno;
  return InChild([] {
    if (const int problem = Become<kNamed, 2345>()) return problem;
    if (open("f", O_RDONLY) < 0) return errno;
    return Outcome(open("f", O_RDWR) < 0 && errno == EACCES);
  });
}

int StickyFolder() {
  if (chmod(".", 0755) != 0 || mkdir("d", 0755) != 0 || chmod("d", 01777) != 0) return errno;
  const int made = InChild([] {
    if (const int problem = Become<1234, 1234>()) return problem;
    return Create("d/theirs") < 0 || Create("d/other") < 0 ? errno : 0;
  });
  if (made != 0) return made;
  const int refused = InChild([] {
    if (const int problem = Become<4321, 4321>()) return problem;
    if (unlink("d/theirs") == 0 || errno != EPERM) return kWrong;
    if (rename("d/theirs", "d/mine") == 0 || errno != EPERM) return kWrong;
    if (Create("d/mine") < 0) return errno;
    return Outcome(rename("d/mine", "d/theirs") != 0 && errno == EPERM);
  });
  if (refused != 0) return refused;
  return InChild([] {
    if (const int problem = Become<1234, 1234>()) return problem;
    return unlink("d/theirs") != 0 || rename("d/other", "d/again") != 0 ? errno : 0;
  });
}

int SetIdProgram() {
  const int from = open("/proc/self/exe", O_RDONLY);
  const int to = open("program", O_WRONLY | O_CREAT, 0755);
  char bytes[1 << 16];
  for (ssize_t count; (count = read(from, bytes, sizeof bytes)) > 0;)
    if (write(to, bytes, count) != count) return errno;
  close(to);
  if (chmod("program", 04755) != 0 || chmod(".", 0755) != 0) return errno;
  const int outcome = InChild([] {
    if (const int problem = Become<1234, 1234>()) return problem;
    execl("./program", "probe", "is-root", nullptr);
    return errno;
  });
  return outcome == 1 ? EPERM : outcome;
}

}  // namespace catamaran::e2e
