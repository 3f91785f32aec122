#include "sandbox/hostile/hostile_container.h"

#include <sys/stat.h>

#include <fstream>

namespace catamaran {

namespace fs = std::filesystem;

void HostileContainer::SetUp() {
  EngineTest::SetUp();
  victim_ = folder_ / "victim";
  volume_ = folder_ / "volume";
  fs::create_directories(victim_);
  fs::create_directories(volume_);
  std::ofstream(victim_ / "secret") << "secret";
  ASSERT_EQ(chmod((victim_ / "secret").c_str(), 0600), 0);
}

bool HostileContainer::VictimIsChanged() {
  struct stat status;
  return ListDirectory(victim_).value() != std::vector<std::string>{"secret"} ||
         ReadFile(victim_ / "secret").value() != "secret" ||
         stat((victim_ / "secret").c_str(), &status) != 0 || (status.st_mode & 07777) != 0600;
}

fs::path HostileContainer::HostileImage(const std::string& name) {
  static int number = 0;
  return MakeImage(name + std::to_string(++number));
}

void HostileContainer::AddVolume(spec::ContainerSpec& spec, const std::string& container_path,
                                 const fs::path& host_path) {
  auto* mount = spec.add_mounts();
  mount->set_container_path(container_path);
  mount->set_host_path(host_path);
}

spec::ContainerSpec HostileContainer::VolumeSpec(const std::string& id,
                                                 const std::vector<std::string>& words) {
  auto spec = ProbeSpec(id, words);
  AddVolume(spec, "/volume", volume_);
  return spec;
}

void HostileContainer::StartAttacker(const std::vector<std::string>& words) {
  std::vector<std::string> all = {"echo:ready"};
  all.insert(all.end(), words.begin(), words.end());
  ASSERT_TRUE(Create(VolumeSpec("attacker", all)));
  ASSERT_TRUE(Start("attacker"));
  WaitForOutput("attacker", "echo=ready");
}

Result<pod::CreateContainerResponse> HostileContainer::CreateOnce(const spec::ContainerSpec& spec) {
  auto created = Create(spec);
  EXPECT_TRUE(!created || Remove(spec.container_id()));
  return created;
}

bool HostileContainer::Repeat(std::chrono::seconds limit, const std::function<bool()>& attempt) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (std::chrono::steady_clock::now() < end)
    if (attempt()) return true;
  return false;
}

}  // namespace catamaran
