// Images whose links lead to a folder of the host.
#include <fcntl.h>

#include <functional>
#include <map>

#include "sandbox/hostile/hostile_container.h"

namespace catamaran {
namespace {

namespace fs = std::filesystem;

struct Place {
  fs::path image;
  fs::path victim;
  fs::path source;  // of mounts
  spec::ContainerSpec& spec;
};

void Mount(const Place& place, const std::string& target) {
  auto* mount = place.spec.add_mounts();
  mount->set_container_path(target);
  mount->set_host_path(place.source);
}

std::string Upwards(const fs::path& path) {
  return "../../../../../../../../../../../.." + path.string();
}

const std::map<std::string, std::function<void(const Place&)>>& Ways() {
  static const std::map<std::string, std::function<void(const Place&)>> ways = {
      {"a mount below an absolute link",
       [](const Place& place) {
         fs::create_directory_symlink(place.victim, place.image / "link");
         Mount(place, "/link/made");
       }},
      {"a mount below a link upwards",
       [](const Place& place) {
         fs::create_directory_symlink(Upwards(place.victim), place.image / "link");
         Mount(place, "/link/made");
       }},
      {"a mount below a link to /proc/self/root",
       [](const Place& place) {
         fs::create_directory_symlink("/proc/self/root" + place.victim.string(),
                                      place.image / "link");
         Mount(place, "/link/made");
       }},
      {"a mount below a link to the engine's working directory",
       [](const Place& place) {
         fs::create_directory_symlink("/proc/self/cwd/" + Upwards(place.victim),
                                      place.image / "link");
         Mount(place, "/link/made");
       }},
      // CVE-2024-5154.
      {"/etc/hosts as a link",
       [](const Place& place) {
         fs::create_symlink(place.victim / "made", place.image / "etc/hosts");
       }},
      {"/etc/hostname as a link upwards",
       [](const Place& place) {
         fs::create_symlink(Upwards(place.victim / "made"), place.image / "etc/hostname");
       }},
      {"/etc as a link",
       [](const Place& place) {
         fs::remove(place.image / "etc");
         fs::create_directory_symlink(place.victim, place.image / "etc");
         fs::create_symlink("made", place.victim / "hostname");
       }},
      // CVE-2026-41579.
      {"a device below a link",
       [](const Place& place) {
         fs::create_directory_symlink(place.victim, place.image / "link");
         auto* device = place.spec.add_devices();
         device->set_host_path("/dev/full");
         device->set_container_path("/link/made");
         device->set_permissions("rw");
       }},
      {"the working directory below a link",
       [](const Place& place) {
         fs::create_directory_symlink(place.victim, place.image / "link");
         place.spec.mutable_process()->set_cwd("/link/made");
       }},
  };
  return ways;
}

}  // namespace

std::vector<std::string> HostileContainer::WaysOut() {
  std::vector<std::string> names;
  for (const auto& [name, way] : Ways()) names.push_back(name);
  return names;
}

bool HostileContainer::GoOut(const std::string& way) {
  auto spec = ProbeSpec(NextId(), {});
  const fs::path image = HostileImage("links");
  spec.mutable_rootfs()->set_lower_directories(0, image);
  Ways().at(way)({image, victim_, volume_, spec});
  CreateOnce(spec).map_error([](const Error&) {});
  const bool made = fs::exists(victim_ / "made");
  for (const char* name : {"made", "hostname", "hosts"}) fs::remove_all(victim_ / name);
  return made;
}

bool HostileContainer::WorkInEnginesDescriptor(Of process) {
  // What an engine may have open: close-on-exec, as all its descriptors are.
  const auto held = OpenFile(folder_, O_RDONLY | O_DIRECTORY).value();
  const std::string link = "/proc/self/fd/" + std::to_string(held.get());
  const std::vector<std::string> look = {"read:victim/secret"};
  const std::string key = "read victim/secret";
  const std::string id = NextId();
  // GoogleTest's own start ends a program that is nowhere.
  const fs::path image = HostileImage("cwd");
  fs::remove(image / "probe");
  fs::copy_file(fs::read_symlink("/proc/self/exe").parent_path() / "container-attacker",
                image / "probe");
  if (process == Of::kExec) {
    auto spec = ProbeSpec(id, {"link-for-folder:/work:" + link, "echo:ready", "forever"});
    spec.mutable_rootfs()->set_lower_directories(0, image);
    spec.mutable_process()->set_cwd("/work");
    EXPECT_TRUE(Create(spec) && Start(id));
    WaitForOutput(id, "echo=ready");
    const bool started = Exec(id, "look", {"/probe", look[0]}).has_value();
    if (started) WaitExit(id, "look");
    EXPECT_TRUE(Remove(id));
    return started && ParseReport(Stdout(id, "look"))[key] == "secret";
  }
  auto spec = ProbeSpec(id, look);
  spec.mutable_rootfs()->set_lower_directories(0, image);
  if (process == Of::kContainerThroughLink) {
    fs::create_directory_symlink(link, image / "link");
    spec.mutable_process()->set_cwd("/link");
  } else {
    spec.mutable_process()->set_cwd(link);
  }
  if (!Create(spec)) return false;
  const bool started = Start(id).has_value();
  if (started) WaitExit(id);
  EXPECT_TRUE(Remove(id));
  return started && ParseReport(Stdout(id))[key] == "secret";
}

}  // namespace catamaran
