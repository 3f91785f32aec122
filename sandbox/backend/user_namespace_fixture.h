#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "sandbox/backend/engine_fixture.h"

namespace catamaran {

inline constexpr uint32_t kFirst = 100000, kLength = 65536;

inline void Map(google::protobuf::RepeatedPtrField<spec::IdMapping>* mappings, uint32_t host_id,
                uint32_t length = kLength) {
  auto* range = mappings->Add();
  range->set_host_id(host_id);
  range->set_length(length);
}

// Sandboxes with a user namespace of their own; skipped where images of these tests, which are
// folders, cannot be id-mapped.
class UserNamespaces : public EngineTest {
 protected:
  void SetUp() override {
    EngineTest::SetUp();
    if (auto mapped = CanIdMapImages(); !mapped) GTEST_SKIP() << mapped.error().message;
  }

  static IdMaps Maps() { return {"0 100000 65536\n", "0 100000 65536\n"}; }
  spec::SandboxSpec Mapped(spec::NamespaceMode pid = spec::CONTAINER) {
    auto spec = SandboxSpec();
    Map(spec.mutable_user_namespace()->mutable_uids(), kFirst);
    Map(spec.mutable_user_namespace()->mutable_gids(), kFirst);
    spec.set_network_namespace(MakeNetworkNamespace(Maps()));
    spec.set_pid(pid);
    return spec;
  }
  // A folder with a file that only the machine's root may read.
  std::filesystem::path Volume() {
    const std::filesystem::path folder = folder_ / "volume";
    std::filesystem::create_directories(folder);
    std::ofstream(folder / "secret") << "secret";
    EXPECT_EQ(chmod((folder / "secret").c_str(), 0600), 0);
    return folder;
  }
  static spec::Mount* AddVolume(spec::ContainerSpec& spec, const std::filesystem::path& folder,
                                bool mapped = true) {
    auto* mount = spec.add_mounts();
    mount->set_container_path("/v");
    mount->set_host_path(folder);
    if (!mapped) return mount;
    Map(mount->mutable_uid_mappings(), kFirst);
    Map(mount->mutable_gid_mappings(), kFirst);
    return mount;
  }
  static struct stat StatOf(const std::filesystem::path& path) {
    struct stat status {};
    EXPECT_EQ(stat(path.c_str(), &status), 0) << path;
    return status;
  }
};

}  // namespace catamaran
