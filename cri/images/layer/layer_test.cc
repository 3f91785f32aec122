// The parts of a layer's way into a blob, each by itself. The whole way is in ../kernel_test.cc,
// and ../hostile_layer_test.cc has what no tool would make.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "cri/images/layer/byte_source.h"
#include "cri/images/layer/decompressor.h"
#include "cri/images/layer/layer_tree.h"
#include "cri/images/testing/tar_builder.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

// Gives a few bytes at a time, as networks do.
class SlowSource : public ByteSource {
 public:
  explicit SlowSource(std::string bytes, size_t piece = 7)
      : bytes_(std::move(bytes)), piece_(piece) {}
  Result<size_t> Read(char* buffer, size_t size) override {
    const size_t count = bytes_.copy(buffer, std::min(size, piece_), at_);
    at_ += count;
    return count;
  }
  bool AtEnd() const { return at_ == bytes_.size(); }

 private:
  const std::string bytes_;
  const size_t piece_;
  size_t at_ = 0;
};

Result<std::string> All(ByteSource& source) {
  std::string all;
  char buffer[1000];
  for (;;) {
    ASSIGN_OR_RETURN(const size_t count, source.Read(buffer, sizeof buffer));
    if (count == 0) return all;
    all.append(buffer, count);
  }
}

Result<std::string> Unpack(const std::string& bytes) {
  SlowSource source(bytes);
  ASSIGN_OR_RETURN(const auto plain, Decompress(source));
  auto all = All(*plain);
  EXPECT_TRUE(!all || source.AtEnd()) << "the digest is of all bytes";
  return all;
}

std::string Text() {
  std::string text;
  for (int i = 0; i < 20'000; ++i) text += std::to_string(i * 7919) + "\n";
  return text;
}

TEST(Decompressor, TakesEveryFormInSmallPieces) {
  const std::string text = Text();
  EXPECT_EQ(Unpack(text).value(), text);
  EXPECT_EQ(Unpack(Gzip(text)).value(), text);
  EXPECT_EQ(Unpack(Zstd(text)).value(), text);
  EXPECT_EQ(Unpack(Gzip(text) + Gzip("more")).value(), text + "more") << "several members";
  EXPECT_EQ(Unpack(Zstd(text) + Zstd("more")).value(), text + "more") << "several frames";
  EXPECT_EQ(Unpack("").value(), "");
  EXPECT_EQ(Unpack("x").value(), "x") << "shorter than any magic number";
}

TEST(Decompressor, RefusesWhatIsCutOffCorruptOrFollowedByOther) {
  for (const std::string& packed : {Gzip(Text()), Zstd(Text())}) {
    for (const size_t length : {packed.size() / 2, packed.size() - 1})
      EXPECT_EQ(Unpack(packed.substr(0, length)).error().code, ErrorCode::kInvalidArgument)
          << length;
    EXPECT_FALSE(Unpack(packed + "rubbish"));
    std::string corrupt = packed;
    corrupt[corrupt.size() / 2] = static_cast<char>(~corrupt[corrupt.size() / 2]);
    EXPECT_FALSE(Unpack(corrupt));
  }
}

TEST(FilePart, IsReadAndEndsWithItsCaller) {
  const UniqueFd file = OpenFile(testing::TempDir(), O_TMPFILE | O_RDWR, 0600).value();
  ASSERT_TRUE(WriteAll(file.get(), "0123456789"));
  FilePartSource middle(file.get(), 2, 5);
  EXPECT_EQ(All(middle).value(), "23456");
  FilePartSource beyond(file.get(), 8, 5);
  EXPECT_EQ(All(beyond).error().code, ErrorCode::kInvalidArgument);
  FilePartSource late(file.get(), 0, 5, Deadline::After(std::chrono::milliseconds(0)));
  EXPECT_EQ(All(late).error().code, ErrorCode::kDeadlineExceeded);
  FilePartSource cancelled(file.get(), 0, 5, Deadline::Never(), [] { return true; });
  EXPECT_EQ(All(cancelled).error().code, ErrorCode::kDeadlineExceeded);
}

TEST(HashingSource, HashesWhatPassesAndTheRest) {
  SlowSource bytes("abc");
  HashingSource source(bytes, Hasher(Hasher::Algorithm::kSha256));
  char first;
  ASSERT_EQ(source.Read(&first, 1).value(), 1u);
  // FIPS 180-2, appendix B.1.
  EXPECT_EQ(source.Drain().value(),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(source.bytes(), 3u);
}

LayerTree::Entry At(const std::string& path, uint32_t mode) {
  LayerTree::Entry entry;
  entry.path = path;
  entry.inode.mode = mode;
  return entry;
}

TEST(LayerTree, MakesParentsAndMarksThem) {
  LayerTree layer{LayerLimits()};
  ASSERT_TRUE(layer.Apply(At("./a//b/file", S_IFREG | 0644)));
  ASSERT_TRUE(layer.Apply(At("a/", S_IFDIR | 0700)));
  const erofs::FileTree tree = layer.Finish();
  const auto a = *tree.Find(erofs::FileTree::kRoot, "a");
  const auto b = *tree.Find(a, "b");
  EXPECT_FALSE(tree.at(a).implicit);
  EXPECT_EQ(tree.at(a).mode, S_IFDIR | 0700u);
  EXPECT_TRUE(tree.at(b).implicit);
  EXPECT_NE(tree.Find(b, "file"), nullptr);
}

TEST(LayerTree, PutsWhiteoutsIntoTheFormOfOverlayfsWhereverTheyStand) {
  LayerTree layer{LayerLimits()};
  ASSERT_TRUE(layer.Apply(At("gone/.wh.file", S_IFREG)));
  ASSERT_TRUE(layer.Apply(At("new/.wh..wh..opq", S_IFREG)));
  ASSERT_TRUE(layer.Apply(At("both/.wh.kept", S_IFREG)));
  ASSERT_TRUE(layer.Apply(At("both/kept", S_IFREG | 0644)));
  const erofs::FileTree tree = layer.Finish();
  const auto gone = *tree.Find(erofs::FileTree::kRoot, "gone");
  EXPECT_TRUE(tree.at(*tree.Find(gone, "file")).IsWhiteout());
  const auto opaque = *tree.Find(erofs::FileTree::kRoot, "new");
  ASSERT_NE(tree.at(opaque).FindXattr(erofs::kOpaqueXattr), nullptr);
  EXPECT_EQ(tree.at(opaque).FindXattr(erofs::kOpaqueXattr)->value, "y");
  const auto both = *tree.Find(erofs::FileTree::kRoot, "both");
  EXPECT_FALSE(tree.at(*tree.Find(both, "kept")).IsWhiteout()) << "it concerns the layers below";
}

TEST(LayerTree, LeadsNowhereButIntoItself) {
  LayerTree layer{LayerLimits()};
  LayerTree::Entry symlink = At("link", S_IFLNK | 0777);
  symlink.inode.target = "../../..";
  ASSERT_TRUE(layer.Apply(std::move(symlink)));
  ASSERT_TRUE(layer.Apply(At("link/etc/passwd", S_IFREG | 0644)));
  LayerTree::Entry hard_link = At("name", S_IFREG);
  hard_link.hard_link = "../etc/passwd";
  (void)layer.Apply(std::move(hard_link));
  const erofs::FileTree tree = layer.Finish();
  const auto* etc = tree.Find(erofs::FileTree::kRoot, "etc");
  ASSERT_NE(etc, nullptr) << "the root's own";
  EXPECT_NE(tree.Find(*etc, "passwd"), nullptr);
}

TEST(LayerTree, HasLimits) {
  LayerLimits few;
  few.entries = 3;
  LayerTree layer{few};
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(layer.Apply(At(std::to_string(i), S_IFREG | 0644))) << i;
  EXPECT_EQ(layer.Apply(At("one more", S_IFREG | 0644)).error().code,
            ErrorCode::kResourceExhausted);
}

}  // namespace
}  // namespace catamaran
