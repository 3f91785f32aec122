// The floor: what no runtime can leave out of a pod's start, by bare system calls and nothing else.
// A network namespace with a veth pair, an address and a route; a cgroup for the pod and one for
// its container in every hierarchy; an overlay file system; a process in namespaces of its own on
// that root, moved to its group, that has executed a program. No records, no image, no protocol.
//
//   catamaran-bench-floor LOWER FOLDER CGROUP COUNT
//
// LOWER: folder with /bin/sleep. FOLDER: empty, for the rest. Prints a line per start: wall time
// and CPU time in milliseconds. What was made is undone between starts, outside the times.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "sandbox/base/cleanup.h"
#include "sandbox/base/files.h"
#include "sandbox/kernel/cgroup.h"
#include "sandbox/kernel/netlink.h"
#include "sandbox/kernel/process.h"

namespace catamaran::e2e {
namespace {

constexpr char kLink[] = "floor0", kPeer[] = "eth0", kAddress[] = "10.93.0.2";

struct Place {
  std::string lower, folder, cgroup;
};

double CpuMilliseconds(int who) {
  rusage usage{};
  getrusage(who, &usage);
  const auto milliseconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_usec) / 1e3;
  };
  return milliseconds(usage.ru_utime) + milliseconds(usage.ru_stime);
}

Result<UniqueFd> NewNetwork() {
  ASSIGN_OR_RETURN(const UniqueFd own, OpenOwnNamespace("net"));
  if (unshare(CLONE_NEWNET) != 0) return FailWithErrno("unshare");
  ASSIGN_OR_RETURN(UniqueFd made, OpenOwnNamespace("net"));
  ASSIGN_OR_RETURN(Netlink inside, Netlink::Open());
  if (setns(own.get(), CLONE_NEWNET) != 0) return FailWithErrno("setns");
  ASSIGN_OR_RETURN(Netlink outside, Netlink::Open());
  RETURN_IF_ERROR(outside.AddVethPair({.name = kLink,
                                       .mac = {},
                                       .peer_name = kPeer,
                                       .peer_mac = {},
                                       .peer_namespace_fd = made.get()}));
  RETURN_IF_ERROR(outside.SetLinkUp(kLink));
  RETURN_IF_ERROR(outside.AddRoute(
      {.destination = std::string(kAddress) + "/32", .gateway = {}, .link = kLink}));
  RETURN_IF_ERROR(inside.SetLinkUp("lo"));
  RETURN_IF_ERROR(inside.AddAddress(kPeer, std::string(kAddress) + "/32"));
  RETURN_IF_ERROR(inside.SetLinkUp(kPeer));
  RETURN_IF_ERROR(inside.AddRoute({.destination = "0.0.0.0/0", .gateway = {}, .link = kPeer}));
  return made;
}

Status MountRoot(const Place& place) {
  for (const char* name : {"upper", "work", "root"})
    RETURN_IF_ERROR(MakeDirectories(place.folder + "/" + name, 0755));
  const std::string options =
      fmt::format("lowerdir={0},upperdir={1}/upper,workdir={1}/work", place.lower, place.folder);
  if (mount("overlay", (place.folder + "/root").c_str(), "overlay", 0, options.c_str()) != 0)
    return FailWithErrno("mount overlay");
  return {};
}

// In the new process, once it is in its group. Returns only where something failed.
int BecomeContainer(const Place& place, int network) {
  const std::string root = place.folder + "/root";
  if (setns(network, CLONE_NEWNET) != 0 ||
      mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 || chdir(root.c_str()) != 0 ||
      syscall(SYS_pivot_root, ".", ".") != 0 || umount2(".", MNT_DETACH) != 0 ||
      mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0)
    return 1;
  execl("/bin/sleep", "sleep", "1000", nullptr);
  return 1;
}

Result<ChildProcess> StartProcess(const Place& place, int network, const Cgroup& group) {
  ASSIGN_OR_RETURN(Pipe in_group, MakePipe());
  ASSIGN_OR_RETURN(Pipe executed, MakePipe());
  ASSIGN_OR_RETURN(
      ChildProcess child,
      CloneProcess({.namespaces = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC,
                    .dies_with_parent = true},
                   [&] {
                     char byte = 0;
                     in_group.write_end.Reset();
                     if (read(in_group.read_end.get(), &byte, 1) != 1) return 1;
                     const int code = BecomeContainer(place, network);
                     (void)!write(executed.write_end.get(), "x", 1);
                     return code;
                   }));
  RETURN_IF_ERROR(group.Attach(child.pid));
  RETURN_IF_ERROR(WriteAll(in_group.write_end.get(), "x"));
  executed.write_end.Reset();
  char byte = 0;
  // Closed by exec(2).
  if (read(executed.read_end.get(), &byte, 1) != 0)
    return Fail(ErrorCode::kInternal, "the container's process did not execute its program");
  return child;
}

void Undo(const Place& place, const std::optional<ChildProcess>& child) {
  if (child) (void)KillAndReap(child->pidfd.get());
  (void)umount2((place.folder + "/root").c_str(), MNT_DETACH);
  if (auto netlink = Netlink::Open()) (void)netlink->DeleteLink(kLink);
  if (auto tree = CgroupTree::Open()) {
    if (auto group = (*tree)->OpenGroup(place.cgroup))
      (void)group->Remove(Deadline::After(std::chrono::seconds(10)));
  }
  for (const char* name : {"upper", "work"}) (void)RemoveTree(place.folder + "/" + name);
}

Status StartOnce(const Place& place) {
  std::optional<ChildProcess> child;
  Cleanup undo([&] { Undo(place, child); });
  const auto start = std::chrono::steady_clock::now();
  const double cpu = CpuMilliseconds(RUSAGE_SELF);
  ASSIGN_OR_RETURN(const UniqueFd network, NewNetwork());
  ASSIGN_OR_RETURN(const auto tree, CgroupTree::Open());
  ASSIGN_OR_RETURN(const Cgroup pod, tree->Create(place.cgroup));
  ASSIGN_OR_RETURN(const Cgroup container, tree->Create(place.cgroup + "/container"));
  RETURN_IF_ERROR(MountRoot(place));
  ASSIGN_OR_RETURN(child, StartProcess(place, network.get(), container));
  const std::chrono::duration<double, std::milli> wall = std::chrono::steady_clock::now() - start;
  const double own_cpu = CpuMilliseconds(RUSAGE_SELF) - cpu;
  const double before = CpuMilliseconds(RUSAGE_CHILDREN);
  Undo(place, child);
  child.reset();
  printf("%.3f %.3f\n", wall.count(), own_cpu + CpuMilliseconds(RUSAGE_CHILDREN) - before);
  return {};
}

}  // namespace
}  // namespace catamaran::e2e

int main(int argc, char** argv) {
  using namespace catamaran;
  if (argc != 5) {
    fprintf(stderr, "usage: catamaran-bench-floor LOWER FOLDER CGROUP COUNT\n");
    return 2;
  }
  const e2e::Place place{argv[1], argv[2], argv[3]};
  for (int i = 0; i < atoi(argv[4]); ++i) {
    if (auto started = e2e::StartOnce(place); !started) {
      fprintf(stderr, "floor: %s\n", started.error().message.c_str());
      return 1;
    }
  }
}
