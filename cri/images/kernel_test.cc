// Layers before the real kernel: what mounts is compared, entry by entry, with what GNU tar
// extracts from the same archives.
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <set>

#include "cri/images/testing/layer_lab.h"
#include "cri/images/testing/tar_builder.h"
#include "cri/images/testing/tree_listing.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

using Layers = std::vector<std::string>;

constexpr char kCapability[] =
    "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";

std::string Capability() { return std::string(kCapability, 20); }

// A path of this many bytes.
std::string Deep(size_t size) {
  std::string path;
  while (path.size() + 2 <= size) path += "l/";
  return path + std::string(size - path.size(), 'l');
}

TEST(Kernel, EveryKindOfEntryLooksAsExtracted) {
  LayerLab lab("kinds");
  TarBuilder tar = Root();
  tar.Folder("d/", 01777).File("d/empty", "").File("d/file", std::string(5000, 'x'));
  tar.Add({.name = "d/suid", .data = "s", .mode = 06755, .uid = 1234, .gid = 70000});
  tar.Add({.name = "d/bigids", .uid = 3'000'000'000, .gid = 4'294'967'294});
  tar.Symlink("d/link", "file").Symlink("d/dangling", "/no/where").Symlink("up", "../../d");
  tar.Symlink("longlink", Deep(1000));
  tar.Symlink("longestlink", Deep(4095));
  tar.HardLink("d/hard", "d/file").HardLink("hard2", "d/hard").HardLink("symhard", "d/link");
  tar.Add({.name = "d/null", .type = '3', .mode = 0666, .major = 1, .minor = 3});
  tar.Add({.name = "d/block", .type = '4', .mode = 0660, .gid = 6, .major = 259, .minor = 70000});
  tar.Add({.name = "d/fifo", .type = '6'});
  tar.Add({.name = "d/time", .data = "t", .pax = {{"mtime", "1700000000.123456789"}}});
  tar.Add({.name = "d/early", .data = "t", .pax = {{"mtime", "-100.5"}}});
  tar.Add({.name = "d/late", .data = "t", .pax = {{"mtime", "9999999999.9"}}});
  tar.Add({.name = std::string("d/\xff\xfe\n\t \\name"), .data = "odd bytes"});
  tar.Add({.name = "d/\xc3\xa4\xe6\xbc\xa2",
           .data = "utf-8",
           .pax = {{"path", "d/\xc3\xa4\xe6\xbc\xa2"}}});
  const std::string archive = tar.Build();
  ExpectSameTree(ListTree(lab.Mount(lab.Convert(archive))), ListTree(lab.Extract({archive})));
  lab.ExpectAsExtracted({archive});
}

TEST(Kernel, ExtendedAttributesLookAsExtracted) {
  LayerLab lab("xattrs");
  TarBuilder tar = Root();
  const auto x = [](const std::string& name) { return "SCHILY.xattr." + name; };
  tar.Add({.name = "cap",
           .data = "c",
           .mode = 0755,
           .pax = {{x("security.capability"), Capability()}}});
  tar.Add(
      {.name = "user",
       .data = "c",
       .pax = {
           {x("user.a"), "1"}, {x("user.empty"), ""}, {x("user.zero"), std::string("\0\n\0", 3)}}});
  tar.Add({.name = "long",
           .data = "c",
           .pax = {{x("user.long"), std::string(60'000, 'v')},
                   {x("user." + std::string(250, 'n')), "1"}}});
  tar.Add({.name = "link",
           .type = '2',
           .link = "user",
           .pax = {{x("trusted.l"), std::string(3000, 'l')}}});
  tar.Add({.name = "dir/",
           .type = '5',
           .mode = 0755,
           .pax = {{x("user.dir"), std::string(4000, 'd')}}});
  for (int i = 0; i < 200; ++i) tar.File("dir/f" + std::to_string(i), "");
  std::vector<std::pair<std::string, std::string>> many;
  for (int i = 0; i < 300; ++i)
    many.emplace_back(x("user.n" + std::to_string(i)), std::string(i, 'x'));
  tar.Add({.name = "many", .data = "m", .pax = many});
  lab.ExpectAsExtracted({tar.Build()});
}

TEST(Kernel, OverlayAttributesOfALayerAreDropped) {
  LayerLab lab("overlay-xattrs");
  TarBuilder lower = Root();
  lower.Folder("d/").File("d/a", "a");
  TarBuilder upper = Root();
  upper.Add({.name = "d/",
             .type = '5',
             .mode = 0755,
             .pax = {{"SCHILY.xattr.trusted.overlay.opaque", "y"},
                     {"SCHILY.xattr.user.overlay.opaque", "y"},
                     {"SCHILY.xattr.trusted.overlay.redirect", "/etc"}}});
  const auto blobs = std::vector{lab.Convert(lower.Build()), lab.Convert(upper.Build())};
  for (const auto& root : {lab.MountOverlay(blobs), lab.MountMerged(blobs)})
    EXPECT_EQ(ReadFile(root / "d/a").value_or("gone"), "a");
}

TEST(Kernel, NamesOf255BytesAreFound) {
  LayerLab lab("names");
  TarBuilder tar = Root();
  std::string deep = "d/";
  tar.Folder(deep);
  for (int i = 0; i < 10; ++i) {
    deep += std::string(255, static_cast<char>('a' + i)) + "/";
    tar.Folder(deep);
  }
  for (int i = 0; i < 300; ++i)
    tar.File("d/" + std::to_string(i) + std::string(255 - std::to_string(i).size(), 'n'), "x");
  // Around "." and "..": the kernel looks names up by binary search over sorted bytes.
  for (const char* name : {"!", "-", "-a", "...", "..a", ".a", "/0", "0", "\x7f", "\x80", "\xff"})
    tar.File(std::string("d/") + name, name);
  lab.ExpectAsExtracted({tar.Build()});
}

TEST(Kernel, AFolderOf100000EntriesLooksAsExtracted) {
  LayerLab lab("many");
  TarBuilder tar = Root();
  tar.Folder("big/");
  for (int i = 0; i < 100'000; ++i) {
    const std::string name = "big/entry-" + std::to_string(i * 7919 % 100'000);
    if (i % 10 == 0)
      tar.Symlink(name, "entry-" + std::to_string(i));
    else if (i % 10 == 1)
      tar.Folder(name);
    else
      tar.File(name, i % 10 == 2 ? "x" : "");
  }
  const std::string archive = tar.Build();
  const auto blob = lab.Convert(archive);
  const auto expected = ListTree(lab.Extract({archive}));
  EXPECT_EQ(expected.size(), 100'002u);
  ExpectSameTree(ListTree(lab.Mount(blob)), expected);
  ExpectSameTree(ListTree(lab.MountMerged({blob})), expected);
}

// Written by libarchive, so that its pax and sparse forms are covered too.
std::string SparseArchive(int format, uint64_t size) {
  std::string bytes(8 << 20, '\0');
  size_t used = 0;
  archive* writer = archive_write_new();
  archive_write_set_format(writer, format);
  archive_write_open_memory(writer, bytes.data(), bytes.size(), &used);
  archive_entry* entry = archive_entry_new();
  archive_entry_set_pathname(entry, "sparse");
  archive_entry_set_filetype(entry, AE_IFREG);
  archive_entry_set_perm(entry, 0640);
  archive_entry_set_mtime(entry, 1'600'000'000, 5);
  archive_entry_set_size(entry, static_cast<int64_t>(size));
  const std::vector<std::pair<int64_t, std::string>> pieces = {
      {0, "begin"},
      {1'000'000, std::string(100'000, 'm')},
      {static_cast<int64_t>(size) - 4096, std::string(4096, 'e')}};
  for (const auto& [at, data] : pieces)
    archive_entry_sparse_add_entry(entry, at, static_cast<int64_t>(data.size()));
  archive_write_header(writer, entry);
  static const std::string kZeros(1 << 20, '\0');
  int64_t position = 0;
  for (const auto& [at, data] : pieces) {
    while (position < at)
      position += archive_write_data(writer, kZeros.data(),
                                     std::min<uint64_t>(kZeros.size(), at - position));
    position += archive_write_data(writer, data.data(), data.size());
  }
  archive_entry_free(entry);
  archive_write_close(writer);
  archive_write_free(writer);
  bytes.resize(used);
  return bytes;
}

TEST(Kernel, SparseFilesOver4GiBStaySmallAndWhole) {
  LayerLab lab("sparse");
  const std::string archive = SparseArchive(ARCHIVE_FORMAT_TAR_PAX_RESTRICTED, 5ull << 30);
  ASSERT_LT(archive.size(), 1u << 20);
  const auto blob = lab.Convert(archive);
  EXPECT_LT(std::filesystem::file_size(blob), 4u << 20);
  const auto expected = ListTree(lab.Extract({archive}), {.directory_times = false});
  ExpectSameTree(ListTree(lab.Mount(blob), {.directory_times = false}).size() == expected.size()
                     ? ListTree(lab.Mount(blob) / "sparse")
                     : std::vector<std::string>{},
                 ListTree(lab.Extract({archive}) / "sparse"));
  ExpectSameTree(ListTree(lab.MountMerged({blob}) / "sparse"),
                 ListTree(lab.Extract({archive}) / "sparse"));
}

TEST(Kernel, FilesMadeSparseByGnuTarInEveryFormLookAsExtracted) {
  LayerLab lab("gnu-sparse");
  const auto source = lab.NewFolder();
  ASSERT_TRUE(LayerLab::Run("cd " + source.string() +
                            " && truncate -s 40M a && printf x | dd of=a bs=1 seek=20000000 "
                            "conv=notrunc status=none && truncate -s 70K small && cp a b && "
                            "printf tail >> b && for i in $(seq 100); do printf y | dd of=c bs=1 "
                            "seek=$((i*300000)) conv=notrunc status=none; done"));
  for (const char* options :
       {"--format=gnu", "--format=pax --sparse-version=0.0", "--format=pax --sparse-version=0.1",
        "--format=pax --sparse-version=1.0"}) {
    SCOPED_TRACE(options);
    const auto file = lab.NewFolder() / "t.tar";
    ASSERT_TRUE(LayerLab::Run("tar -S " + std::string(options) + " -cf " + file.string() + " -C " +
                              source.string() + " ."));
    const auto blob = lab.Convert(ReadFile(file).value());
    EXPECT_LT(std::filesystem::file_size(blob), 20u << 20);
    const auto root = lab.Mount(blob);
    for (const char* name : {"a", "b", "c", "small"})
      EXPECT_TRUE(LayerLab::Run("cmp " + (root / name).string() + " " + (source / name).string()))
          << name;
  }
}

TEST(Kernel, LongRunsOfZerosBecomeHoles) {
  LayerLab lab("zeros");
  TarBuilder tar = Root();
  tar.File("mostly", "a" + std::string(10 << 20, '\0') + "b");
  tar.File("zeros", std::string(10 << 20, '\0'));
  tar.File("ends", std::string((1 << 20) + 123, '\0') + std::string(300'000, 'x'));
  tar.File("starts", std::string(300'000, 'x') + std::string((1 << 20) + 123, '\0'));
  const std::string archive = tar.Build();
  EXPECT_EQ(std::filesystem::file_size(lab.Convert(archive)), 2u << 20);
  lab.ExpectAsExtracted({archive});
}

TEST(Kernel, LaterEntriesReplaceEarlierOnesOfTheSameLayer) {
  LayerLab lab("later");
  TarBuilder tar = Root();
  tar.File("f", "one").File("f", "two").Symlink("s", "one").File("s", "a file now");
  tar.Folder("d/", 0700).File("d/x", "x").Folder("d/", 0755);
  tar.File("a", "a").HardLink("b", "a").File("a", "other");
  tar.File("././/c", "1").File("/c", "2").File("../../c", "3");
  const auto root = lab.Mount(lab.Convert(tar.Build()));
  EXPECT_EQ(ReadFile(root / "f").value(), "two");
  EXPECT_EQ(ReadFile(root / "s").value(), "a file now");
  EXPECT_EQ(std::filesystem::status(root / "d").permissions(), std::filesystem::perms(0755));
  EXPECT_EQ(ReadFile(root / "d/x").value(), "x");
  EXPECT_EQ(ReadFile(root / "a").value(), "other");
  EXPECT_EQ(ReadFile(root / "b").value(), "a");
  EXPECT_EQ(std::filesystem::hard_link_count(root / "b"), 1u);
  EXPECT_EQ(ReadFile(root / "c").value(), "3");
}

TEST(Kernel, ParentsThatAreSymlinksAreFollowedInsideTheLayer) {
  LayerLab lab("parents");
  TarBuilder tar;
  tar.Folder("usr/bin/").Symlink("bin", "usr/bin").File("bin/sh", "shell");
  tar.Symlink("out", "../../../../etc").File("out/passwd", "inside");
  tar.Symlink("abs", "/usr").File("abs/lib/x", "x");
  const auto root = lab.Mount(lab.Convert(tar.Build()));
  EXPECT_EQ(ReadFile(root / "usr/bin/sh").value(), "shell");
  EXPECT_EQ(ReadFile(root / "etc/passwd").value(), "inside");
  EXPECT_EQ(ReadFile(root / "usr/lib/x").value(), "x");
  EXPECT_TRUE(std::filesystem::is_symlink(root / "out"));
}

}  // namespace
}  // namespace catamaran
