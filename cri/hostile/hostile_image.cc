#include "cri/hostile/hostile_image.h"

#include <stdlib.h>

#include <algorithm>

#include "cri/translate/test_input.h"
#include "sandbox/base/files.h"

namespace catamaran {

namespace fs = std::filesystem;

void HostileImage::SetUp() {
  char name[] = "/tmp/hostile-image-XXXXXX";
  folder_ = mkdtemp(name);
  victim_ = folder_ / "node/etc";
  unpacked_ = folder_ / "images/one";
  fs::create_directories(victim_);
  fs::create_directories(unpacked_ / "data");
  fs::create_symlink(victim_, unpacked_ / "link");
  fs::create_symlink("../../node", unpacked_ / "upwards");
}

void HostileImage::TearDown() { EXPECT_TRUE(RemoveTree(folder_.string())); }

std::vector<std::string> HostileImage::WaysOut() const {
  return {"/../../node/etc", "/data/../../../node/etc", "/link", "/upwards/etc"};
}

bool HostileImage::ShowsTheNode(const std::string& volume, bool in_vm) const {
  TestInput input;
  input.image.id = unpacked_;
  input.image.config.volumes = {volume};
  const auto container = input.Container(in_vm);
  EXPECT_TRUE(container) << container.error().message;
  if (!container) return false;
  return std::any_of(container->mounts().begin(), container->mounts().end(),
                     [this](const spec::Mount& mount) {
                       std::error_code error;
                       return fs::canonical(mount.host_path(), error) == victim_;
                     });
}

}  // namespace catamaran
