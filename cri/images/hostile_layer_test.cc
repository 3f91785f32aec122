// Hostile layers: each row must fail with its code.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "cri/images/hasher.h"
#include "cri/images/layer/layer_converter.h"
#include "cri/images/reference.h"
#include "cri/images/testing/image_builder.h"
#include "cri/images/testing/tar_builder.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

constexpr ErrorCode kInvalid = ErrorCode::kInvalidArgument;
constexpr ErrorCode kTooMuch = ErrorCode::kResourceExhausted;

class BytesSource : public ByteSource {
 public:
  explicit BytesSource(const std::string& bytes) : bytes_(bytes) {}
  Result<size_t> Read(char* buffer, size_t size) override {
    const size_t count = bytes_.copy(buffer, size, at_);
    at_ += count;
    return count;
  }

 private:
  const std::string& bytes_;
  size_t at_ = 0;
};

Result<ConvertedLayer> Convert(const std::string& archive, const LayerLimits& limits = {}) {
  const UniqueFd file(open(testing::TempDir().c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  BytesSource source(archive);
  return ConvertLayer(source, file.get(), Hasher::Algorithm::kSha256, limits);
}

LayerLimits Small() {
  LayerLimits limits;
  limits.entries = 1000;
  limits.metadata_bytes = 20'000;
  limits.plain_bytes = 64 << 20;
  limits.plain_base = 1 << 20;
  limits.plain_ratio = 50;
  limits.stored_base = 1 << 20;
  limits.stored_ratio = 10;
  return limits;
}

std::string Xattr(const std::string& value) {
  return TarBuilder().Add({.name = "f", .pax = {{"SCHILY.xattr.user.x", value}}}).Build();
}

std::string ManyFiles(int count) {
  TarBuilder tar;
  for (int i = 0; i < count; ++i) tar.File("f" + std::to_string(i), "");
  return tar.Build();
}

std::string DeepFolder() {
  std::string path;
  for (int i = 0; i < 600; ++i) path += "d/";
  return TarBuilder().File(path + "f", "").Build();
}

std::string SymlinkLoop() {
  return TarBuilder().Symlink("a", "b").Symlink("b", "a").File("a/f", "").Build();
}

// A few kilobytes of zstd that become 200 MiB.
std::string ZstdBomb() {
  return Zstd(TarBuilder().File("zeros", std::string(32 << 20, '\0')).Build());
}

TEST(HostileLayer, IsRefused) {
  const std::string good = TarBuilder().File("f", std::string(100'000, 'x')).Build();
  const std::string gz = Gzip(good);
  const std::string zst = Zstd(good);
  std::string bad_crc = gz;
  bad_crc[gz.size() - 6] ^= 1;
  std::string bad_header = good;
  bad_header[0] ^= 1;
  const struct {
    const char* name;
    std::string archive;
    ErrorCode code;
  } rows[] = {
      {"noise", std::string(10'000, 'n'), kInvalid},
      {"a header whose checksum is wrong", bad_header, kInvalid},
      {"tar cut off within a file", good.substr(0, 50'000), kInvalid},
      {"gzip cut off", gz.substr(0, gz.size() / 2), kInvalid},
      {"gzip without its trailer", gz.substr(0, gz.size() - 8), kInvalid},
      {"gzip with a wrong crc", bad_crc, kInvalid},
      {"gzip header alone", gz.substr(0, 10), kInvalid},
      {"gzip followed by noise", gz + "noise", kInvalid},
      {"gzip of noise", Gzip(std::string(5000, 'n')), kInvalid},
      {"zstd cut off", zst.substr(0, zst.size() / 2), kInvalid},
      {"zstd followed by noise", zst + "noise and more noise", kInvalid},
      {"zstd magic alone", zst.substr(0, 4), kInvalid},
      {"a whiteout of nothing", TarBuilder().File("d/.wh.", "").Build(), kInvalid},
      {"a whiteout of .", TarBuilder().File(".wh..", "").Build(), kInvalid},
      {"a whiteout of ..", TarBuilder().File(".wh...", "").Build(), kInvalid},
      {"a folder named as a whiteout", TarBuilder().File(".wh.a/b", "").Build(), kInvalid},
      {"a parent that is a file", TarBuilder().File("a", "").File("a/b", "").Build(), kInvalid},
      {"a hard link to nothing", TarBuilder().HardLink("a", "b").Build(), kInvalid},
      {"a hard link out of the layer", TarBuilder().HardLink("a", "../../etc/passwd").Build(),
       kInvalid},
      {"a hard link to a folder", TarBuilder().Folder("d/").HardLink("a", "d").Build(), kInvalid},
      {"a hard link to the root", TarBuilder().HardLink("a", "/").Build(), kInvalid},
      {"a hard link to a later file", TarBuilder().HardLink("a", "b").File("b", "").Build(),
       kInvalid},
      {"the root as a symlink", TarBuilder().Symlink("./", "/etc").Build(), kInvalid},
      {"a symlink to nothing", TarBuilder().Symlink("a", "").Build(), kInvalid},
      {"symlinks in a circle as parent", SymlinkLoop(), kInvalid},
      {"folders 600 deep", DeepFolder(), kInvalid},
      {"a name of 256 bytes", TarBuilder().File(std::string(256, 'n'), "").Build(), kInvalid},
      {"a path of 5000 bytes", TarBuilder().File(std::string(5000, 'n'), "").Build(), kInvalid},
      {"an owner of -1", TarBuilder().Add({.name = "f", .pax = {{"uid", "4294967295"}}}).Build(),
       kInvalid},
      {"an owner of 2^40",
       TarBuilder().Add({.name = "f", .pax = {{"gid", "1099511627776"}}}).Build(), kInvalid},
      {"a device that does not exist",
       TarBuilder().Add({.name = "d", .type = '3', .major = 5000, .minor = 1}).Build(), kInvalid},
      {"an attribute of 70,000 bytes", Xattr(std::string(70'000, 'x')), kTooMuch},
      {"1001 entries where 1000 are allowed", ManyFiles(1001), kTooMuch},
      {"too many bytes of names",
       TarBuilder()
           .Symlink("a", std::string(4000, 'a'))
           .Symlink("b", std::string(4000, 'a'))
           .Symlink("c", std::string(4000, 'a'))
           .Symlink("d", std::string(4000, 'a'))
           .Symlink("e", std::string(4000, 'a'))
           .Build(),
       kTooMuch},
      {"a bomb of zeros", ZstdBomb(), kTooMuch},
      {"a bomb of letters", Gzip(TarBuilder().File("f", std::string(20 << 20, 'x')).Build()),
       kTooMuch},
      {"more bytes than a layer may have",
       TarBuilder().File("f", std::string(65 << 20, 'x')).Build(), kTooMuch},
      {"a bomb behind the archive's end",
       Zstd(TarBuilder().File("f", "").Build() + std::string(64 << 20, '\0')), kTooMuch},
  };
  for (const auto& row : rows) {
    const auto layer = Convert(row.archive, Small());
    ASSERT_FALSE(layer) << row.name;
    EXPECT_EQ(layer.error().code, row.code) << row.name << ": " << layer.error().message;
  }
}

TEST(HostileLayer, OddButHarmlessOnesAreTaken) {
  const std::string good = TarBuilder().File("f", std::string(100'000, 'x')).Build();
  const std::string half = good.substr(0, 40'000);
  const std::string rest = good.substr(40'000);
  std::string skippable = std::string("\x50\x2a\x4d\x18\x05\x00\x00\x00", 8) + "extra";
  const struct {
    const char* name;
    std::string archive;
    std::string plain;
  } rows[] = {
      {"gzip members", Gzip(half) + Gzip(rest), good},
      {"an empty gzip member", Gzip("") + Gzip(good) + Gzip(""), good},
      {"zstd frames with skippable ones",
       skippable + Zstd(half) + skippable + Zstd(rest) + skippable, good},
      {"no entry", std::string(1024, '\0'), std::string(1024, '\0')},
      {"no byte", "", ""},
      {"bytes behind the end mark", good + "trailer", good + "trailer"},
      {"paths that climb", TarBuilder().File("../../../x", "").File("/abs", "").Build(), ""},
  };
  for (const auto& row : rows) {
    const auto layer = Convert(row.archive);
    ASSERT_TRUE(layer) << row.name << ": " << layer.error().message;
    EXPECT_EQ(layer->compressed_digest, Sha256Of(row.archive)) << row.name;
    EXPECT_EQ(layer->diff_id, Sha256Of(row.plain.empty() ? row.archive : row.plain)) << row.name;
    EXPECT_EQ(layer->size_bytes % (2 << 20), 0u) << row.name;
  }
}

// CVE-2021-32760 and its kind. What the archive does where it is extracted the plain way is shown
// first; converting it is reading, and what it would have hit outside is then inside.
TEST(HostileLayer, ThatLeadsAnExtractorOutsideChangesNothingHere) {
  const ScratchFolder scratch("outside");
  const std::string victim = scratch / "victim";
  const auto prepare = [&] {
    ASSERT_TRUE(RemoveTree(victim));
    ASSERT_TRUE(MakeDirectories(victim));
    WriteTestFile(victim + "/file", "machine's");
    ASSERT_EQ(chmod((victim + "/file").c_str(), 0600), 0);
  };
  const auto state = [&] {
    struct stat file = {};
    stat((victim + "/file").c_str(), &file);
    return fmt::format("{} {:o} {}", ReadFile(victim + "/file").value(), file.st_mode & 07777,
                       Exists(victim + "/planted"));
  };
  const std::string untouched = "machine's 600 false";
  const struct {
    std::string name, archive, after;
  } attacks[] = {
      {"through a link", TarBuilder().Symlink("d", victim).File("d/planted", "x").Build(),
       "machine's 600 true"},
      {"a name upwards", TarBuilder().File("../victim/planted", "x").Build(), "machine's 600 true"},
      {"an absolute name", TarBuilder().File(victim + "/file", "attacker's").Build(),
       "attacker's 644 false"},
      {"a setuid file through a link",
       TarBuilder()
           .Symlink("d", victim)
           .Add({.name = "d/file", .data = "attacker's", .mode = 04777})
           .Build(),
       "attacker's 4777 false"},
  };
  for (const auto& attack : attacks) {
    prepare();
    const std::string plain = scratch / "plain";
    ASSERT_TRUE(RemoveTree(plain));
    ASSERT_TRUE(MakeDirectories(plain));
    WriteTestFile(scratch / "layer.tar", attack.archive);
    const std::string command = "tar -xpPf " + (scratch / "layer.tar").string() + " -C " + plain;
    ASSERT_EQ(system(command.c_str()), 0) << attack.name;
    EXPECT_EQ(state(), attack.after) << attack.name << ": the attack is none";
    prepare();
    EXPECT_TRUE(Convert(attack.archive)) << attack.name;
    EXPECT_EQ(state(), untouched) << attack.name;
  }
}

// CVE-2023-25153 and its kind: without limits the bombs go off.
TEST(HostileLayer, BombsAreRealAndDefused) {
  LayerLimits none;
  for (auto* limit : {&none.entries, &none.metadata_bytes, &none.plain_bytes, &none.plain_base})
    *limit = uint64_t{1} << 40;
  none.stored_base = uint64_t{1} << 40;
  const auto bomb = Convert(ZstdBomb(), none);
  ASSERT_TRUE(bomb) << bomb.error().message;
  EXPECT_LT(bomb->compressed_bytes, 100'000u);
  EXPECT_EQ(Convert(ZstdBomb(), Small()).error().code, kTooMuch);
  EXPECT_TRUE(Convert(ManyFiles(2000), none));
  EXPECT_EQ(Convert(ManyFiles(2000), Small()).error().code, kTooMuch);
}

}  // namespace
}  // namespace catamaran
