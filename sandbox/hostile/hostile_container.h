#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "sandbox/backend/engine_fixture.h"

namespace catamaran {

// How long a race is tried against an engine that must not lose it, and how long one that must.
inline constexpr std::chrono::seconds kRaceTime{3};
inline constexpr std::chrono::seconds kRaceIsLostWithin{50};

// The attacks, each as a function that takes it and says what the attacker got: so that the same
// steps are taken against the engine and against one whose defence was taken out. Every container,
// image and volume in them is as the engine gets it from a kubelet.
class HostileContainer : public EngineTest {
 protected:
  void SetUp() override;

  // ---- Names that lead out (path_attacks.cc) ----

  // The ways to the victim that an image has, by name.
  static std::vector<std::string> WaysOut();
  // Has the engine make something at the end of one; whether it was made on the host.
  bool GoOut(const std::string& way);
  // CVE-2024-21626: a process whose working directory is a descriptor that the engine holds of a
  // folder of the host; whether it could read the victim's file from there.
  enum class Of { kContainer, kContainerThroughLink, kExec };
  bool WorkInEnginesDescriptor(Of process);

  // ---- Races in a volume that two containers share (race_attacks.cc) ----

  // CVE-2021-30465, CVE-2024-45310: whether a folder was made on the host.
  bool MakeFolderOutside(std::chrono::seconds limit);
  // CVE-2021-30465: whether a folder of the host was mounted in a container.
  bool MountFolderOfHost(std::chrono::seconds limit);
  // Whether the mode of a file of the host became that of a device.
  bool ChangeModeOutside(std::chrono::seconds limit);
  // CVE-2025-31133: whether a masked file could be read.
  bool ReadMaskedFile(std::chrono::seconds limit);
  // CVE-2025-52565: whether something else than the terminal is bound over /dev/console.
  bool BindOverConsole();

  // ---- /proc (proc_attacks.cc) ----

  static std::vector<std::string> WaysToFalseProc();
  // CVE-2019-16884, CVE-2025-52881: whether a program that was to have a label runs without it, the
  // label being in a file of a volume. `why_not`: what Create or Start said.
  bool RunWithoutLabel(const std::string& way, std::string* why_not = nullptr);

  // ---- Privileges and sizes (privilege_attacks.cc) ----

  // CVE-2022-24769: what a user's process got by a file's inheritable capabilities.
  std::string CapabilitiesOfAUser(bool exec);
  // CVE-2022-0492; the report of "release-agent", and whether the host ran the program.
  struct Release {
    Report report;
    bool ran_on_host = false;
  };
  Release TakeReleaseAgent(bool privileges);
  // CVE-2022-0811: values of two sysctls of the machine are left as they are, or not.
  std::vector<std::string> WaysToAnotherSysctl();
  bool ChangeMachinesSysctl(const std::string& way);
  // CVE-2025-47291: how many children a process in a user namespace of its pod's could make at
  // once, and one that is exec'd there, where both are allowed twenty processes.
  std::pair<int, int> ForksInAUserNamespace();
  // CVE-2026-47262, CVE-2024-9676: how a start ended, or "" where it did not within two seconds.
  std::string StartWithGiantUserFile(const std::string& name);
  std::string StartWithFifoForUserFile(const std::string& name);

  // ---- Means ----

  // Starts a container with the volume at /volume, which goes on for ever.
  void StartAttacker(const std::vector<std::string>& words);
  // The probe, with the volume at /volume.
  spec::ContainerSpec VolumeSpec(const std::string& id, const std::vector<std::string>& words);
  static void AddVolume(spec::ContainerSpec& spec, const std::string& container_path,
                        const std::filesystem::path& host_path);
  // An image of its own with a probe.
  std::filesystem::path HostileImage(const std::string& name);
  // Creates and removes; what Create said.
  Result<pod::CreateContainerResponse> CreateOnce(const spec::ContainerSpec& spec);
  // Repeats until it is true or the time is over.
  static bool Repeat(std::chrono::seconds limit, const std::function<bool()>& attempt);
  bool VictimIsChanged();

  std::filesystem::path victim_;  // a folder of the host with one file, "secret"
  std::filesystem::path volume_;
};

}  // namespace catamaran
