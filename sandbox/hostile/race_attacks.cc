// One container changes names in a volume while another that has it is being made.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <fstream>

#include "sandbox/hostile/hostile_container.h"

namespace catamaran {

namespace fs = std::filesystem;

bool HostileContainer::MakeFolderOutside(std::chrono::seconds limit) {
  fs::create_directories(volume_ / "door");
  fs::create_directory_symlink(victim_, volume_ / "trap");
  fs::create_directories(folder_ / "source");
  StartAttacker({"exchange:/volume/door:/volume/trap"});
  return Repeat(limit, [this] {
    auto spec = VolumeSpec(NextId(), {});
    AddVolume(spec, "/volume/door/made-" + spec.container_id(), folder_ / "source");
    CreateOnce(spec).map_error([](const Error&) {});
    return VictimIsChanged();
  });
}

// The first mount puts the attacker's folder over the one that the second's source is in, in which
// there is a link instead.
bool HostileContainer::MountFolderOfHost(std::chrono::seconds limit) {
  fs::create_directories(folder_ / "sources/second");
  fs::create_directories(folder_ / "sources/first");
  fs::create_directory_symlink(victim_, folder_ / "sources/first/second");
  fs::create_directories(volume_ / "door");
  fs::create_directory_symlink(folder_ / "sources", volume_ / "trap");
  StartAttacker({"exchange:/volume/door:/volume/trap"});
  return Repeat(limit, [this] {
    auto spec = VolumeSpec(NextId(), {"read:/one/two/three/secret"});
    AddVolume(spec, "/volume/door", folder_ / "sources/first");
    AddVolume(spec, "/one/two/three", folder_ / "sources/second");
    const std::string& id = spec.container_id();
    if (!Create(spec)) return false;
    if (Start(id)) WaitExit(id);
    EXPECT_TRUE(Remove(id));
    return ParseReport(Stdout(id))["read /one/two/three/secret"] == "secret";
  });
}

bool HostileContainer::ChangeModeOutside(std::chrono::seconds limit) {
  StartAttacker({"plant:/volume/node:" + (victim_ / "secret").string()});
  return Repeat(limit, [this] {
    auto spec = VolumeSpec(NextId(), {});
    auto* device = spec.add_devices();
    device->set_host_path("/dev/full");
    device->set_container_path("/volume/node");
    device->set_permissions("rw");
    CreateOnce(spec).map_error([](const Error&) {});
    return VictimIsChanged();
  });
}

bool HostileContainer::ReadMaskedFile(std::chrono::seconds limit) {
  const fs::path image = HostileImage("masked");
  std::vector<std::string> masked;
  for (int number = 0; number < 16; ++number) masked.push_back(fmt::format("/etc/{}", number));
  masked.push_back("/etc/masked");
  for (const auto& path : masked) std::ofstream(image.string() + path) << "secret";
  EXPECT_EQ(mknod((volume_ / "null").c_str(), S_IFCHR | 0666, makedev(1, 3)), 0);
  fs::create_symlink("/etc/masked", volume_ / "link");
  StartAttacker({"exchange:/volume/null:/volume/link:200"});
  return Repeat(limit, [&] {
    auto spec = ProbeSpec(NextId(), {"read:/etc/masked"});
    spec.mutable_rootfs()->set_lower_directories(0, image);
    AddVolume(spec, "/dev", volume_);
    for (const auto& path : masked) spec.add_masked_paths(path);
    const std::string& id = spec.container_id();
    if (!Create(spec)) return false;
    if (Start(id)) WaitExit(id);
    EXPECT_TRUE(Remove(id));
    return ParseReport(Stdout(id))["read /etc/masked"] == "secret";
  });
}

bool HostileContainer::BindOverConsole() {
  const fs::path image = HostileImage("console");
  std::ofstream(image / "etc/chosen") << "chosen";
  for (int number = 0; number < 32; ++number)
    fs::create_symlink("/etc/chosen", volume_ / std::to_string(number));
  auto spec = ProbeSpec(NextId(), {"read:/dev/console"});
  spec.mutable_rootfs()->set_lower_directories(0, image);
  spec.mutable_process()->set_terminal(true);
  AddVolume(spec, "/dev/pts", volume_);
  const std::string& id = spec.container_id();
  if (!Create(spec)) return false;
  if (Start(id)) WaitExit(id);
  EXPECT_TRUE(Remove(id));
  return ParseReport(Stdout(id))["read /dev/console"] == "chosen";
}

}  // namespace catamaran
