// The ways in which a test breaks its own view of this host.
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <filesystem>

#include "cri/doctor/testing/doctor_world.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

namespace fs = std::filesystem;

constexpr char kStage[] = "/run/broken";  // files to put over others

[[noreturn]] void Die(const std::string& doing) {
  fprintf(stderr, "%s: %m\n", doing.c_str());
  _exit(99);
}

std::string Stage(const std::string& content, unsigned mode) {
  static int next = 0;
  const std::string file = fmt::format("{}/{}", kStage, next++);
  Write(file, content, mode);
  return file;
}

}  // namespace

void Bind(const std::string& from, const std::string& to) {
  if (mount(from.c_str(), to.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0)
    Die("bind " + from + " to " + to);
}

void Tmpfs(const std::string& folder, const std::string& options) {
  if (mount("tmpfs", folder.c_str(), "tmpfs", 0, options.c_str()) != 0)
    Die("mount tmpfs on " + folder);
}

void Cover(const std::string& folder) { Tmpfs(folder, "size=4096,mode=0755"); }

void CoverWithEmptyFile(const std::string& file) { Bind(Stage("", 0644), file); }

void CoverWithScript(const std::string& file, const std::string& commands) {
  Bind(Stage("#!/bin/sh\n" + commands + "\n", 0755), file);
}

void MakeReadOnly(const std::string& folder) {
  Bind(folder, folder);
  if (mount(nullptr, folder.c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr) != 0)
    Die("make " + folder + " read-only");
}

void CoverBut(const std::string& folder, const std::string& kept) {
  const std::string place = std::string(kStage) + "/kept", name = folder + "/" + kept;
  fs::create_directories(place);
  Bind(name, place);
  Tmpfs(folder, "size=1m,mode=0755");
  fs::create_directories(name);
  Bind(place, name);
  if (umount2(place.c_str(), MNT_DETACH) != 0) Die("umount " + place);
}

void SmallDisk(const std::string& folder, const std::string& size, const std::string& taken) {
  const std::string image = folder + ".img";
  Command(
      fmt::format("truncate -s {1} {0} && mkfs.ext4 -q -m 0 {0} && mount -o loop {0} {2} && "
                  "fallocate -l {3} {2}/taken",
                  image, size, folder, taken));
}

void UseInodes(const std::string& folder, uint64_t left) {
  struct statvfs status;
  for (int i = 0; statvfs(folder.c_str(), &status) == 0 && status.f_favail > left; ++i)
    Write(folder + "/" + std::to_string(i), "");
}

void Write(const std::string& file, const std::string& content, unsigned mode) {
  fs::create_directories(fs::path(file).parent_path());
  const UniqueFd fd(open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
  if (!fd.valid() || !WriteAll(fd.get(), content)) Die("write " + file);
}

void Sysctl(const std::string& name, const std::string& value) {
  if (!WriteExisting("/proc/sys/" + name, value)) Die("set " + name);
}

void Command(const std::string& command) {
  if (system(command.c_str()) != 0) Die(command);
}

void DropCapability(int number) {
  if (prctl(PR_CAPBSET_DROP, number, 0, 0, 0) != 0) Die("drop a capability");
}

void BecomeNobody() {
  if (setgroups(0, nullptr) != 0 || setresgid(65534, 65534, 65534) != 0 ||
      setresuid(65534, 65534, 65534) != 0)
    Die("become nobody");
}

void Deny(long system_call, int error, int argument, uint32_t value) {
  const auto number = static_cast<uint32_t>(system_call);
  const auto offset = static_cast<uint32_t>(offsetof(seccomp_data, args) +
                                            8 * static_cast<size_t>(std::max(argument, 0)));
  const uint32_t refusal = SECCOMP_RET_ERRNO | static_cast<uint32_t>(error);
  sock_filter any[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, refusal),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_filter one[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, refusal),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program =
      argument < 0 ? sock_fprog{std::size(any), any} : sock_fprog{std::size(one), one};
  // Without no_new_privs: what runs below is root as before.
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) Die("install a filter");
}

std::string CgroupOf(const std::string& hierarchy) { return "/sys/fs/cgroup/" + hierarchy; }

std::string RealPath(const std::string& path) {
  std::error_code error;
  const auto real = fs::canonical(path, error);
  return error ? path : real.string();
}

}  // namespace catamaran
