// Images written and read back, and trees laid on one another, without a kernel. What the kernel
// makes of them is in ../kernel_test.cc.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cstring>

#include "cri/images/erofs/blob_writer.h"
#include "cri/images/erofs/merge.h"
#include "cri/images/erofs/reader.h"
#include "sandbox/base/files.h"

namespace catamaran::erofs {
namespace {

UniqueFd Temporary() { return OpenFile(testing::TempDir(), O_TMPFILE | O_RDWR, 0600).value(); }

InodeIndex Put(FileTree& tree, InodeIndex parent, const std::string& name, Inode inode) {
  const InodeIndex index = tree.Add(std::move(inode));
  tree.at(parent).children->emplace(name, index);
  return index;
}

InodeIndex PutFolder(FileTree& tree, InodeIndex parent, const std::string& name,
                     uint32_t permissions = 0755) {
  const InodeIndex index = tree.AddDirectory(permissions);
  tree.at(index).implicit = false;
  tree.at(parent).children->emplace(name, index);
  return index;
}

Inode Node(uint32_t mode) {
  Inode inode;
  inode.mode = mode;
  return inode;
}

Inode Whiteout() { return Node(S_IFCHR); }

// A tree with one of everything; its file's content is in `writer`.
FileTree Everything(BlobWriter& writer) {
  FileTree tree;
  Inode file = Node(S_IFREG | 04751);
  file.uid = 70000;
  file.gid = 80000;
  file.mtime = -5;
  file.mtime_nsec = 123456789;
  file.SetXattr("user.one", "1");
  file.SetXattr("security.capability", std::string(20, '\0'));
  EXPECT_TRUE(writer.BeginFile(10));
  EXPECT_TRUE(writer.Write(0, "0123456789"));
  EXPECT_TRUE(writer.EndFile(file));
  const InodeIndex folder = PutFolder(tree, FileTree::kRoot, "folder", 01777);
  const InodeIndex linked = Put(tree, folder, "file", std::move(file));
  tree.at(FileTree::kRoot).children->emplace("link", linked);
  Inode symlink = Node(S_IFLNK | 0777);
  symlink.target = "../elsewhere";
  symlink.size = symlink.target.size();
  Put(tree, folder, "symlink", std::move(symlink));
  Inode device = Node(S_IFBLK | 0600);
  device.device = makedev(259, 70000);
  Put(tree, folder, "device", std::move(device));
  Put(tree, folder, "fifo", Node(S_IFIFO | 0644));
  return tree;
}

BlobWriter::Summary Write(int fd) {
  BlobWriter writer(fd);
  const FileTree tree = Everything(writer);
  const auto summary = writer.Finish(tree, Uuid{});
  EXPECT_TRUE(summary) << summary.error().message;
  return summary.value_or(BlobWriter::Summary{});
}

std::string Names(const FileTree& tree, InodeIndex directory = FileTree::kRoot) {
  std::string names;
  for (const auto& [name, index] : *tree.at(directory).children) {
    names += name;
    if (tree.at(index).IsDirectory()) names += "(" + Names(tree, index) + ")";
    names += " ";
  }
  return names;
}

TEST(Blob, IsReadAsItWasWritten) {
  const UniqueFd fd = Temporary();
  const auto summary = Write(fd.get());
  EXPECT_EQ(summary.size_bytes % kImageAlignment, 0u);
  const auto tree = ReadTree(fd.get(), summary.size_bytes);
  ASSERT_TRUE(tree) << tree.error().message;
  EXPECT_EQ(Names(*tree), "folder(device fifo file symlink ) link ");
  const InodeIndex folder = *tree->Find(FileTree::kRoot, "folder");
  EXPECT_EQ(tree->at(folder).mode, S_IFDIR | 01777u);
  const InodeIndex index = *tree->Find(folder, "file");
  EXPECT_EQ(*tree->Find(FileTree::kRoot, "link"), index) << "two names of one inode";
  const Inode& file = tree->at(index);
  EXPECT_EQ(file.mode, S_IFREG | 04751u);
  EXPECT_EQ(file.uid, 70000u);
  EXPECT_EQ(file.gid, 80000u);
  EXPECT_EQ(file.mtime, -5);
  EXPECT_EQ(file.mtime_nsec, 123456789u);
  EXPECT_EQ(file.size, 10u);
  ASSERT_NE(file.FindXattr("security.capability"), nullptr);
  EXPECT_EQ(file.FindXattr("security.capability")->value, std::string(20, '\0'));
  EXPECT_EQ(file.FindXattr("user.one")->value, "1");
  char content[10];
  ASSERT_TRUE(ReadExactly(fd.get(), content, 10, uint64_t{file.first_block} * kBlockSize));
  EXPECT_EQ(std::string_view(content, 10), "0123456789");
  EXPECT_EQ(tree->at(*tree->Find(folder, "symlink")).target, "../elsewhere");
  EXPECT_EQ(tree->at(*tree->Find(folder, "device")).device, makedev(259, 70000));
  EXPECT_EQ(tree->Find(folder, "absent"), nullptr);
}

TEST(Blob, HasTheChecksumThatItsFileHas) {
  const UniqueFd one = Temporary(), two = Temporary();
  const auto first = Write(one.get());
  EXPECT_EQ(Write(two.get()).checksum, first.checksum) << "equal input gives equal bytes";
  EXPECT_EQ(ChecksumOfFile(one.get(), first.size_bytes).value(), first.checksum);
  ASSERT_EQ(pwrite(one.get(), "x", 1, static_cast<off_t>(first.size_bytes - 1)), 1);
  EXPECT_NE(ChecksumOfFile(one.get(), first.size_bytes).value(), first.checksum);
  EXPECT_EQ(ChecksumOfFile(one.get(), first.size_bytes + 1).error().code, ErrorCode::kDataLoss);
  EXPECT_EQ(ChecksumOfFile(one.get(), first.size_bytes, [] { return true; }).error().code,
            ErrorCode::kAborted);
}

TEST(Blob, KeepsHolesOutOfTheFile) {
  const UniqueFd fd = Temporary();
  BlobWriter writer(fd.get());
  constexpr uint64_t kSize = 1ull << 32;
  Inode file = Node(S_IFREG | 0644);
  ASSERT_TRUE(writer.BeginFile(kSize));
  ASSERT_TRUE(writer.Write(kSize / 2, "middle"));
  ASSERT_TRUE(writer.EndFile(file));
  EXPECT_LT(writer.stored_bytes(), 16u << 20);
  FileTree tree;
  Put(tree, FileTree::kRoot, "sparse", std::move(file));
  const auto summary = writer.Finish(tree, Uuid{});
  ASSERT_TRUE(summary);
  const auto read = ReadTree(fd.get(), summary->size_bytes);
  ASSERT_TRUE(read) << read.error().message;
  const Inode& sparse = read->at(*read->Find(FileTree::kRoot, "sparse"));
  EXPECT_EQ(sparse.size, kSize);
  ASSERT_NE(sparse.chunks, nullptr);
  ASSERT_EQ(sparse.chunks->runs.size(), 1u);
  const uint64_t chunk_bytes = uint64_t{kBlockSize} << sparse.chunks->bits;
  EXPECT_EQ(sparse.chunks->runs[0].chunk, kSize / 2 / chunk_bytes);
}

TEST(Blob, ThatIsDamagedIsAnErrorAndNeverMore) {
  const UniqueFd fd = Temporary();
  const auto summary = Write(fd.get());
  std::string whole(summary.size_bytes, '\0');
  ASSERT_TRUE(ReadExactly(fd.get(), whole.data(), whole.size(), 0));
  EXPECT_FALSE(ReadTree(fd.get(), kBlockSize));
  // Every byte that says something, turned round: never a crash, and never a longer walk.
  int refused = 0, tried = 0;
  for (size_t at = 0; at < whole.size(); ++at) {
    if (whole[at] == '\0') continue;
    ++tried;
    const char turned = static_cast<char>(~whole[at]);
    ASSERT_EQ(pwrite(fd.get(), &turned, 1, static_cast<off_t>(at)), 1);
    const auto read = ReadTree(fd.get(), summary.size_bytes);
    if (!read) ++refused;
    ASSERT_EQ(pwrite(fd.get(), &whole[at], 1, static_cast<off_t>(at)), 1);
  }
  EXPECT_GT(tried, 100);
  EXPECT_GT(refused, 20);
  EXPECT_TRUE(ReadTree(fd.get(), summary.size_bytes)) << "the test put all back";
}

TEST(Merge, DeletesHidesReplacesAndJoins) {
  FileTree lower, upper;
  const InodeIndex joined = PutFolder(lower, FileTree::kRoot, "joined", 0700);
  Put(lower, joined, "below", Node(S_IFREG | 0644));
  Put(lower, joined, "deleted", Node(S_IFREG | 0644));
  const InodeIndex opaque = PutFolder(lower, FileTree::kRoot, "opaque");
  Put(lower, opaque, "hidden", Node(S_IFREG | 0644));
  PutFolder(lower, FileTree::kRoot, "replaced");
  const InodeIndex above = PutFolder(upper, FileTree::kRoot, "joined", 0711);
  Put(upper, above, "above", Node(S_IFREG | 0644));
  Put(upper, above, "deleted", Whiteout());
  Put(upper, above, "never there", Whiteout());
  const InodeIndex covering = PutFolder(upper, FileTree::kRoot, "opaque");
  upper.at(covering).SetXattr(kOpaqueXattr, "y");
  Put(upper, covering, "shown", Node(S_IFREG | 0644));
  Put(upper, FileTree::kRoot, "replaced", Node(S_IFIFO | 0600));
  LayerMerger merger;
  ASSERT_TRUE(merger.Add(lower, 0));
  ASSERT_TRUE(merger.Add(upper, 100));
  const FileTree& tree = merger.tree();
  EXPECT_EQ(Names(tree), "joined(above below ) opaque(shown ) replaced ");
  EXPECT_EQ(tree.at(*tree.Find(FileTree::kRoot, "joined")).mode, S_IFDIR | 0711u);
  EXPECT_EQ(tree.at(*tree.Find(FileTree::kRoot, "opaque")).FindXattr(kOpaqueXattr), nullptr);
  EXPECT_FALSE(merger.AttributeLayer());
}

TEST(Merge, MovesEachLayersDataToWhereItLies) {
  FileTree lower, upper;
  for (auto [tree, name] : {std::pair(&lower, "low"), std::pair(&upper, "high")}) {
    Inode file = Node(S_IFREG | 0644);
    file.size = 1;
    file.first_block = 7;
    Put(*tree, FileTree::kRoot, name, std::move(file));
  }
  LayerMerger merger;
  ASSERT_TRUE(merger.Add(lower, 0));
  ASSERT_TRUE(merger.Add(upper, 512));
  ASSERT_TRUE(merger.ShiftData(3));
  const FileTree& tree = merger.tree();
  EXPECT_EQ(tree.at(*tree.Find(FileTree::kRoot, "low")).first_block, 10u);
  EXPECT_EQ(tree.at(*tree.Find(FileTree::kRoot, "high")).first_block, 522u);
  EXPECT_EQ(merger.ShiftData(uint64_t{1} << 32).error().code, ErrorCode::kResourceExhausted);
}

TEST(Merge, KeepsTheAttributesOfFoldersThatALayerOnlyPassesThrough) {
  FileTree lower, upper;
  const InodeIndex deep =
      PutFolder(lower, PutFolder(lower, FileTree::kRoot, "a", 0700), "b", 01777);
  Put(lower, deep, "old", Node(S_IFREG | 0644));
  PutFolder(lower, FileTree::kRoot, "other", 0700);
  const InodeIndex a = PutFolder(upper, FileTree::kRoot, "a");
  const InodeIndex b = PutFolder(upper, a, "b");
  upper.at(a).implicit = upper.at(b).implicit = true;
  Put(upper, b, "new", Node(S_IFREG | 0644));
  LayerMerger merger;
  ASSERT_TRUE(merger.Add(lower, 0));
  ASSERT_TRUE(merger.Add(upper, 1));
  EXPECT_EQ(Names(merger.tree()), "a(b(new old ) ) other() ");
  const auto top = merger.AttributeLayer();
  ASSERT_TRUE(top);
  EXPECT_EQ(Names(*top), "a(b() ) ") << "those folders and no file";
  const InodeIndex top_a = *top->Find(FileTree::kRoot, "a");
  EXPECT_EQ(top->at(top_a).mode, S_IFDIR | 0700u);
  EXPECT_EQ(top->at(*top->Find(top_a, "b")).mode, S_IFDIR | 01777u);
}

}  // namespace
}  // namespace catamaran::erofs
