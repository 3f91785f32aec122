#include "cri/images/testing/layer_lab.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "cri/images/layer/layer_converter.h"
#include "cri/images/merged_disk.h"
#include "cri/images/testing/tree_listing.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

namespace fs = std::filesystem;

// Feeds bytes in uneven pieces, so that no boundary coincides with a record's.
class PiecesSource : public ByteSource {
 public:
  explicit PiecesSource(const std::string& bytes) : bytes_(bytes) {}
  Result<size_t> Read(char* buffer, size_t size) override {
    piece_ = piece_ * 7 % 65521 + 1;
    const size_t count = std::min({size, piece_, bytes_.size() - at_});
    memcpy(buffer, bytes_.data() + at_, count);
    at_ += count;
    return count;
  }

 private:
  const std::string& bytes_;
  size_t at_ = 0;
  size_t piece_ = 40'000;
};

void EnterOwnMountNamespace() {
  static const bool kEntered = [] {
    return unshare(CLONE_NEWNS) == 0 &&
           mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
  }();
  ASSERT_TRUE(kEntered) << "needs root: " << strerror(errno);
}

}  // namespace

LayerLab::LayerLab(const std::string& name) : blobs_("blobs-" + name), scratch_("lab-" + name) {
  EnterOwnMountNamespace();
  EXPECT_EQ(mount("tmpfs", scratch_.path().c_str(), "tmpfs", 0, "mode=755"), 0) << strerror(errno);
}

LayerLab::~LayerLab() {
  EXPECT_EQ(umount2(scratch_.path().c_str(), MNT_DETACH), 0) << strerror(errno);
}

fs::path LayerLab::NewFolder() {
  const fs::path folder = scratch_ / std::to_string(next_++);
  EXPECT_EQ(mkdir(folder.c_str(), 0755), 0);
  return folder;
}

bool LayerLab::Run(const std::string& command) { return system(command.c_str()) == 0; }

fs::path LayerLab::Convert(const std::string& archive) {
  const fs::path blob = blobs_ / (std::to_string(next_++) + ".erofs");
  const UniqueFd fd(open(blob.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  PiecesSource source(archive);
  const auto layer = ConvertLayer(source, fd.get(), Hasher::Algorithm::kSha256);
  EXPECT_TRUE(layer) << layer.error().message;
  EXPECT_TRUE(Run("fsck.erofs " + blob.string() + " >" + (scratch_ / "fsck").string() + " 2>&1"))
      << ReadFile(scratch_ / "fsck").value_or("");
  return blob;
}

fs::path LayerLab::Mount(const fs::path& blob) {
  const fs::path folder = NewFolder();
  EXPECT_EQ(mount(blob.c_str(), folder.c_str(), "erofs", MS_RDONLY, nullptr), 0)
      << blob << ": " << strerror(errno);
  return folder;
}

fs::path LayerLab::MountOverlay(const std::vector<fs::path>& blobs) {
  std::vector<fs::path> lower;
  for (const auto& blob : blobs) lower.insert(lower.begin(), Mount(blob));
  lower.push_back(NewFolder());
  const UniqueFd context(fsopen("overlay", FSOPEN_CLOEXEC));
  for (const auto& folder : lower)
    EXPECT_EQ(fsconfig(context.get(), FSCONFIG_SET_STRING, "lowerdir+", folder.c_str(), 0), 0)
        << strerror(errno);
  EXPECT_EQ(fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0), 0)
      << strerror(errno);
  const UniqueFd mounted(fsmount(context.get(), FSMOUNT_CLOEXEC, 0));
  const fs::path folder = NewFolder();
  EXPECT_EQ(move_mount(mounted.get(), "", AT_FDCWD, folder.c_str(), MOVE_MOUNT_F_EMPTY_PATH), 0)
      << strerror(errno);
  return folder;
}

fs::path LayerLab::MountMerged(const std::vector<fs::path>& blobs) {
  const fs::path disk = blobs_ / (std::to_string(next_++) + ".disk");
  const UniqueFd fd(open(disk.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  std::vector<LayerFile> layers;
  for (const auto& blob : blobs) layers.push_back({HostPath(blob), fs::file_size(blob)});
  const auto size = WriteMergedMetadata(fd.get(), layers, "sha256:" + std::string(64, 'a'));
  EXPECT_TRUE(size) << size.error().message;
  EXPECT_EQ(fs::file_size(disk), size.value_or(0));
  std::string command = "cat";
  for (const auto& blob : blobs) command += " " + blob.string();
  EXPECT_TRUE(Run(command + " >>" + disk.string()));
  EXPECT_TRUE(Run("fsck.erofs " + disk.string() + " >" + (scratch_ / "fsck").string() + " 2>&1"))
      << ReadFile(scratch_ / "fsck").value_or("");
  return Mount(disk);
}

fs::path LayerLab::AttributeLayer(const std::vector<fs::path>& blobs) {
  const fs::path blob = blobs_ / (std::to_string(next_++) + ".attributes");
  const UniqueFd fd(open(blob.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  std::vector<LayerFile> layers;
  for (const auto& layer : blobs) layers.push_back({HostPath(layer), fs::file_size(layer)});
  EXPECT_GT(WriteAttributeLayer(fd.get(), layers, "sha256:" + std::string(64, 'a')).value_or(0),
            0u);
  return blob;
}

void LayerLab::ExpectAsExtracted(const std::vector<std::string>& archives) {
  std::vector<fs::path> blobs;
  for (const auto& archive : archives) blobs.push_back(Convert(archive));
  const auto expected = ListTree(Extract(archives));
  {
    SCOPED_TRACE("merged disk");
    ExpectSameTree(ListTree(MountMerged(blobs)), expected);
  }
  SCOPED_TRACE("overlay");
  const ListingOptions names{.count_names_as_links = true};
  ExpectSameTree(ListTree(MountOverlay(blobs), names), ListTree(Extract(archives), names));
}

// What image-spec's layer.md asks of a program that extracts layers onto each other.
void LayerLab::ApplyWhiteouts(const fs::path& layer, const fs::path& target) {
  const auto is_directory = [](const fs::path& path) {
    return fs::is_directory(fs::symlink_status(path));
  };
  const auto names = ListDirectory(layer);
  for (const auto& name : *names) {
    if (name == ".wh..wh..opq") {
      if (!is_directory(target)) continue;
      const auto children = ListDirectory(target);
      for (const auto& child : *children) EXPECT_TRUE(RemoveTree(target / child));
    } else if (name.starts_with(".wh.") && !name.starts_with(".wh..wh.")) {
      EXPECT_TRUE(RemoveTree(target / name.substr(4)));
    }
  }
  for (const auto& name : *names) {
    if (Exists(target / name) && is_directory(target / name) != is_directory(layer / name)) {
      EXPECT_TRUE(RemoveTree(target / name));
    }
    if (is_directory(layer / name)) ApplyWhiteouts(layer / name, target / name);
  }
}

fs::path LayerLab::Extract(const std::vector<std::string>& archives) {
  const fs::path target = NewFolder();
  const std::string options =
      " --numeric-owner --same-owner --same-permissions --xattrs --xattrs-include='*'"
      " --delay-directory-restore";
  for (const auto& archive : archives) {
    const fs::path file = scratch_ / (std::to_string(next_++) + ".tar");
    WriteTestFile(file, archive);
    const fs::path layer = NewFolder();
    EXPECT_TRUE(Run("tar -xf " + file.string() + " -C " + layer.string() + options));
    ApplyWhiteouts(layer, target);
    EXPECT_TRUE(Run("tar -xf " + file.string() + " -C " + target.string() + options +
                    " --exclude='.wh.*'"));
    EXPECT_TRUE(RemoveTree(layer));
    EXPECT_TRUE(RemoveTree(file));
  }
  return target;
}

}  // namespace catamaran
