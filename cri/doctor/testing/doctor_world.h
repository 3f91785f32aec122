#pragma once

#include <cctype>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "sandbox/probes/finding.h"

namespace catamaran {

// A kubelet's configuration that has nothing wrong with it here.
inline constexpr char kRightKubelet[] = R"(kind: KubeletConfiguration
containerRuntimeEndpoint: unix:///run/catamaran/catamaran.sock
cgroupDriver: cgroupfs
failCgroupV1: false
featureGates: {PodAndContainerStatsFromCRI: true}
runtimeRequestTimeout: 2m
podLogsDir: /var/tmp
)";

// One run of `catamaran doctor` in mount, network and pid namespaces of its own, with a tmpfs as
// /run, a root folder on the disk, and what there is of this host.
struct DoctorRun {
  enum class Hull { kNamespaces, kVm } hull = Hull::kNamespaces;
  // kOwn: also a user namespace, where every id means itself.
  enum class Users { kHost, kOwn } users = Users::kHost;
  // Lines over those of a configuration with one handler and the built-in network. "MACHINE key:
  // value" belongs to the handler's machine.
  std::string config;
  std::string kubelet = kRightKubelet;
  int patience_seconds = 30;
  std::vector<std::string> flags = {};  // of the command, more of them
  int times = 1;                        // it runs; what the last one prints is what counts
  // Last of all, in the process that becomes the doctor. May be empty.
  std::function<void()> break_it;
};

// What `--fix` says of a line: "mended", "would", "failed", "by hand".
struct MendedLine {
  std::string name, outcome, text;
};

struct DoctorOutcome {
  int exit_code = -1;
  std::vector<MendedLine> mended;
  std::vector<Finding> findings;
  std::string output;     // all that it printed
  std::string leftovers;  // processes, mounts, folders and groups that stayed; empty: none

  const Finding* Find(const std::string& name) const;  // the last of that name; null: none
};
DoctorOutcome RunDoctorIn(const DoctorRun& run);
// The same run is done once in this process; it must break nothing.
const DoctorOutcome& RunDoctorOnce(const DoctorRun& run);

// ---- for break_it; each ends the process where it cannot be done ----

std::string RootFolder();               // the configuration's root, inside the run
void Cover(const std::string& folder);  // with an empty one
void CoverWithEmptyFile(const std::string& file);
void CoverWithScript(const std::string& file, const std::string& commands);
void MakeReadOnly(const std::string& folder);
void Bind(const std::string& from, const std::string& to);
void Tmpfs(const std::string& folder, const std::string& options);
// Covers a folder with an empty one that holds one of its subfolders, as it was.
void CoverBut(const std::string& folder, const std::string& kept);
// A file system of this size on a loop device, with this much of it taken.
void SmallDisk(const std::string& folder, const std::string& size, const std::string& taken);
void UseInodes(const std::string& folder, uint64_t left);
void Write(const std::string& file, const std::string& content, unsigned mode = 0644);
void Sysctl(const std::string& name, const std::string& value);  // "vm/memfd_noexec"
void Command(const std::string& command);
void DropCapability(int number);
void BecomeNobody();
// Answers this system call with an error; where `argument` is not negative only if that one of its
// arguments has this value (32 bits of it).
void Deny(long system_call, int error, int argument = -1, uint32_t value = 0);

std::string CgroupOf(const std::string& hierarchy);  // "/sys/fs/cgroup/pids"
std::string RealPath(const std::string& path);

// "no pids controller" -> "no_pids_controller", for gtest.
template <typename Row>
std::string NameOf(const Row& row) {
  std::string name;
  for (const char c : row.title) name += isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name;
}

}  // namespace catamaran
