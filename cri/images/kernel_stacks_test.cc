// Layers on one another before the running kernel: an overlay of them, and one disk of them all.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <set>

#include "cri/images/testing/layer_lab.h"
#include "cri/images/testing/tar_builder.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

using Layers = std::vector<std::string>;

TEST(KernelStacks, WhiteoutsAndOpaqueFoldersHideLowerLayers) {
  LayerLab lab("whiteouts");
  TarBuilder lower = Root();
  lower.Folder("keep/")
      .File("keep/a", "a")
      .File("keep/b", "b")
      .Folder("keep/sub/")
      .File("keep/sub/x", "x");
  lower.Folder("opaque/").File("opaque/old", "o").Folder("opaque/dir/").File("opaque/dir/f", "f");
  lower.Folder("gone/").File("gone/f", "f").File("file", "f").Symlink("link", "keep");
  lower.Folder("replaced/").File("replaced/old", "o").Folder("tofile/").File("tofile/x", "x");
  lower.File("todir", "f")
      .Folder("again/")
      .File("again/old", "o")
      .File("h1", "h")
      .HardLink("h2", "h1");
  TarBuilder upper = Root();
  upper.Folder("keep/").File("keep/.wh.a", "").File("keep/c", "c");
  // The mark may come after what it must not hide.
  upper.Folder("opaque/")
      .File("opaque/new", "n")
      .Folder("opaque/dir/")
      .File("opaque/.wh..wh..opq", "");
  upper.File(".wh.gone", "").File(".wh.file", "").File(".wh.link", "");
  upper.File(".wh.replaced", "").Folder("replaced/").File("replaced/new", "n");
  upper.File("tofile", "now a file").Folder("todir/").File("todir/x", "x");
  upper.File(".wh.nothere", "").File("keep/.wh.file", "");
  upper.Folder("only/").File("only/.wh.never", "").File("only/real", "r");
  upper.File(".wh.h1", "").File(".wh.h2", "").File(".wh..wh.plnk", "");
  lab.ExpectAsExtracted({lower.Build(), upper.Build()});
  TarBuilder third = Root();
  third.Folder("opaque/").File("opaque/.wh.new", "").Folder("gone/").File("gone/back", "b");
  third.File("todir", "file again").Folder("keep/").File("keep/.wh.sub", "");
  lab.ExpectAsExtracted({lower.Build(), upper.Build(), third.Build()});
}

TEST(KernelStacks, FoldersALayerOnlyPassesThroughKeepTheirAttributes) {
  LayerLab lab("implicit");
  TarBuilder lower = Root();
  lower
      .Add({.name = "tmp/",
            .type = '5',
            .mode = 01777,
            .uid = 7,
            .pax = {{"SCHILY.xattr.user.k", "v"}}})
      .File("tmp/old", "o");
  const std::string upper = TarBuilder().File("tmp/new", "n").Build();
  const std::vector<std::filesystem::path> blobs = {lab.Convert(lower.Build()), lab.Convert(upper)};
  auto stack = blobs;
  stack.push_back(lab.AttributeLayer(blobs));
  for (const auto& root : {lab.MountMerged(blobs), lab.MountOverlay(stack)}) {
    struct stat status = {};
    ASSERT_EQ(stat((root / "tmp").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 01777u);
    EXPECT_EQ(status.st_uid, 7u);
    EXPECT_EQ(ReadFile(root / "tmp/new").value(), "n");
    EXPECT_EQ(ReadFile(root / "tmp/old").value(), "o");
    EXPECT_EQ(getxattr((root / "tmp").c_str(), "user.k", nullptr, 0), 1);
  }
}

// Layers of random changes: each one adds, replaces, links and deletes.
class RandomLayers {
 public:
  explicit RandomLayers(uint32_t seed) : state_(seed) {}

  std::string Next() {
    TarBuilder tar = Root();
    for (const auto& folder : {"a/", "b/", "a/c/"}) tar.Folder(folder, 0700 + Number(64));
    std::string last;
    for (int i = 0; i < 30; ++i) {
      const std::string folder = std::vector<std::string>{"", "a/", "b/", "a/c/"}[Number(4)];
      const std::string name = folder + std::string(1, static_cast<char>('n' + Number(12)));
      if (used_.contains({layer_, name})) continue;
      used_.insert({layer_, name});
      switch (Number(7)) {
        case 0:
          tar.File(folder + ".wh." + name.substr(folder.size()), "");
          break;
        case 1:
          tar.Symlink(name, "target" + std::to_string(Number(100)));
          break;
        case 2:
          tar.Folder(name + "/").File(name + "/in" + std::to_string(Number(3)), "i");
          break;
        case 3:
          if (!last.empty()) {
            tar.HardLink(name, last);
            break;
          }
          [[fallthrough]];
        case 4:
          tar.Folder(name + "/").File(name + "/.wh..wh..opq", "").File(name + "/o", "o");
          break;
        default:
          tar.Add({.name = name,
                   .data = std::string(Number(9000), static_cast<char>('a' + layer_ % 26)),
                   .mode = 0600 + Number(128),
                   .uid = Number(3),
                   .pax = {{"mtime", "16000000" + std::to_string(10 + Number(89)) + "." +
                                         std::to_string(1 + Number(9))}}});
          last = name;
      }
    }
    ++layer_;
    return tar.Build();
  }

 private:
  uint32_t Number(uint32_t below) {
    state_ = state_ * 1664525 + 1013904223;
    return (state_ >> 8) % below;
  }
  uint32_t state_;
  int layer_ = 0;
  std::set<std::pair<int, std::string>> used_;
};

TEST(KernelStacks, StacksOf1And20And127LayersLookAsExtracted) {
  for (const int count : {1, 20, 127}) {
    for (uint32_t seed = 1; seed <= (count == 20 ? 4u : 1u); ++seed) {
      SCOPED_TRACE(std::to_string(count) + " layers, seed " + std::to_string(seed));
      LayerLab lab("stack-" + std::to_string(count) + "-" + std::to_string(seed));
      RandomLayers random(seed);
      Layers layers;
      for (int i = 0; i < count; ++i) layers.push_back(random.Next());
      lab.ExpectAsExtracted(layers);
    }
  }
}

TEST(KernelStacks, EqualArchivesGiveEqualBlobs) {
  LayerLab lab("equal");
  RandomLayers random(9);
  const std::string archive = random.Next();
  const std::string blob = ReadFile(lab.Convert(archive)).value();
  EXPECT_EQ(ReadFile(lab.Convert(Gzip(archive))).value(), blob);
  EXPECT_EQ(ReadFile(lab.Convert(Zstd(archive))).value(), blob);
}

}  // namespace
}  // namespace catamaran
