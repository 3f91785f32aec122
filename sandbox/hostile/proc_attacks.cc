// A false procfs takes what is written to /proc.
#include <sys/mount.h>
#include <sys/stat.h>

#include <fstream>
#include <map>

#include "sandbox/base/cleanup.h"
#include "sandbox/hostile/hostile_container.h"

namespace catamaran {
namespace {

namespace fs = std::filesystem;

constexpr const char* kProfile = "catamaran-hostile";

struct Way {
  const char* link;    // in the image, "" for none
  const char* target;  // of the link
  const char* mount;   // where the volume is mounted
  const char* file;    // in it, where the label would be
};

const std::map<std::string, Way>& Ways() {
  static const std::map<std::string, Way> ways = {
      {"a volume over /proc", {"", "", "/proc", "thread-self/attr/apparmor/exec"}},
      {"a volume over a link to /proc", {"x", "/proc", "/x", "thread-self/attr/apparmor/exec"}},
      {"a volume over a link upwards to /proc",
       {"x", "../../../proc", "/x", "thread-self/attr/apparmor/exec"}},
      {"a volume over /proc/self/attr", {"", "", "/proc/thread-self/attr", "apparmor/exec"}},
      {"a volume below a link to /proc/thread-self",
       {"x", "/proc/thread-self", "/x/attr", "apparmor/exec"}},
  };
  return ways;
}

// A machine that has AppArmor, as far as the engine asks before a start. In the tests' own mount
// namespace.
Cleanup PretendAppArmor() {
  const fs::path modules = "/sys/module";
  EXPECT_EQ(mount("tmpfs", modules.c_str(), "tmpfs", 0, ""), 0);
  fs::create_directories(modules / "apparmor/parameters");
  std::ofstream(modules / "apparmor/parameters/enabled") << "Y\n";
  return Cleanup([modules] { EXPECT_EQ(umount2(modules.c_str(), MNT_DETACH), 0); });
}

}  // namespace

std::vector<std::string> HostileContainer::WaysToFalseProc() {
  std::vector<std::string> names;
  for (const auto& [name, way] : Ways()) names.push_back(name);
  return names;
}

bool HostileContainer::RunWithoutLabel(const std::string& name, std::string* why_not) {
  const Way& way = Ways().at(name);
  const Cleanup real = PretendAppArmor();
  const fs::path image = HostileImage("proc");
  if (way.link[0] != 0) fs::create_symlink(way.target, image / way.link);
  const fs::path volume = folder_ / ("proc-" + NextId());
  fs::create_directories((volume / way.file).parent_path());
  std::ofstream(volume / way.file).flush();
  auto spec = ProbeSpec(NextId(), {"pid"});
  spec.mutable_rootfs()->set_lower_directories(0, image);
  spec.mutable_process()->set_apparmor_profile(kProfile);
  AddVolume(spec, way.mount, volume);
  const std::string& id = spec.container_id();
  const auto refuse = [why_not](const Error& error) {
    if (why_not != nullptr) *why_not = error.message;
    return false;
  };
  if (auto created = Create(spec); !created) return refuse(created.error());
  auto started = Start(id);
  if (started) WaitExit(id);
  EXPECT_TRUE(Remove(id));
  if (!started) return refuse(started.error());
  return ReadFile(volume / way.file).value() == "exec " + std::string(kProfile) &&
         ParseReport(Stdout(id))["pid"] == "1";
}

}  // namespace catamaran
