// Hostile layers, archives and JSON: each row must fail with its code, and leave nothing.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "cri/images/hasher.h"
#include "cri/images/image_config.h"
#include "cri/images/image_store.h"
#include "cri/images/layer/layer_converter.h"
#include "cri/images/manifest.h"
#include "cri/images/reference.h"
#include "cri/images/testing/image_builder.h"
#include "cri/images/testing/tar_builder.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

constexpr ErrorCode kInvalid = ErrorCode::kInvalidArgument;
constexpr ErrorCode kTooMuch = ErrorCode::kResourceExhausted;
constexpr ErrorCode kLoss = ErrorCode::kDataLoss;

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

std::string With(const std::string& process, const std::string& more = "",
                 const std::string& rootfs = "") {
  return "{\"os\":\"linux\"" + more + ",\"config\":" + process + ",\"rootfs\":" +
         (rootfs.empty()
              ? "{\"type\":\"layers\",\"diff_ids\":[\"sha256:" + std::string(64, 'a') + "\"]}"
              : rootfs) +
         "}";
}

std::string Repeated(const std::string& text, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += (i == 0 ? "" : ",") + text;
  return all;
}

TEST(HostileConfig, IsRefusedNamingTheField) {
  const std::string digest = "\"sha256:" + std::string(64, 'a') + "\"";
  const struct {
    std::string json;
    const char* named;
  } rows[] = {
      {"", ":1: not JSON"},
      {"{", ":1: not JSON"},
      {"[]", "is not an object"},
      {"null", "is not an object"},
      {std::string(100, '['), "nested"},
      {"{\"a\":[" + Repeated("0", 300'000) + "]}", "values"},
      {"{\"os\":\"\xff\"}", ":1: not JSON"},
      {With("[]"), "config"},
      {With("{}", ",\"architecture\":5"), "architecture"},
      {With("{\"User\":7}"), "User"},
      {With("{\"User\":\"a:b:c\"}"), "User"},
      {With("{\"User\":\"a\\nb\"}"), "User"},
      {With("{\"User\":\"" + std::string(300, 'u') + "\"}"), "User"},
      {With("{\"Env\":{}}"), "Env"},
      {With("{\"Env\":[1]}"), "Env"},
      {With("{\"Env\":[\"=x\"]}"), "Env"},
      {With("{\"Env\":[\"\"]}"), "Env"},
      {With("{\"Env\":[\"A=\\u0000\"]}"), "Env"},
      {With("{\"Env\":[\"A=" + std::string(200'000, 'x') + "\"]}"), "Env"},
      {With("{\"Env\":[" + Repeated("\"A=1\"", 10'001) + "]}"), "Env"},
      {With("{\"Cmd\":[\"a\",null]}"), "Cmd"},
      {With("{\"Entrypoint\":5}"), "Entrypoint"},
      {With("{\"WorkingDir\":[]}"), "WorkingDir"},
      {With("{\"WorkingDir\":\"/" + std::string(5000, 'w') + "\"}"), "WorkingDir"},
      {With("{\"Volumes\":[\"/a\"]}"), "Volumes"},
      {With("{\"Volumes\":{\"/\":{}}}"), "Volumes"},
      {With("{\"Volumes\":{\"/a/..\":{}}}"), "Volumes"},
      {With("{\"Labels\":{\"a\":1}}"), "Labels"},
      {With("{\"StopSignal\":\"SIGFOO\"}"), "StopSignal"},
      {With("{\"StopSignal\":\"0\"}"), "StopSignal"},
      {With("{\"StopSignal\":\"65\"}"), "StopSignal"},
      {With("{\"StopSignal\":\"SIGRTMIN+99\"}"), "StopSignal"},
      {With("{}", "", "{}"), "rootfs"},
      {With("{}", "", "{\"type\":\"other\",\"diff_ids\":[" + digest + "]}"), "rootfs"},
      {With("{}", "", "{\"type\":\"layers\",\"diff_ids\":[]}"), "diff_ids"},
      {With("{}", "", "{\"type\":\"layers\",\"diff_ids\":[\"sha256:../../etc\"]}"), "diff_ids"},
      {With("{}", "", "{\"type\":\"layers\",\"diff_ids\":[" + Repeated(digest, 501) + "]}"),
       "diff_ids"},
  };
  for (const auto& row : rows) {
    const auto config = ParseImageConfig(row.json);
    ASSERT_FALSE(config) << row.json.substr(0, 100);
    EXPECT_EQ(config.error().code, kInvalid) << row.json.substr(0, 100);
    EXPECT_NE(config.error().message.find(row.named), std::string::npos) << config.error().message;
    EXPECT_LT(config.error().message.size(), 1000u);
  }
  EXPECT_FALSE(ParseImageConfig(std::string(9 << 20, ' ')));
  EXPECT_TRUE(ParseImageConfig(With("{\"Env\":null,\"Cmd\":null,\"Volumes\":null}")));
  EXPECT_TRUE(ParseImageConfig(With("null")));
}

void Replace(ArchiveFiles& files, const std::string& name, const std::string& content) {
  for (auto& [file, bytes] : files)
    if (file == name) bytes = content;
}

std::string Swapped(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

std::string BlobOf(const std::string& content) {
  return "blobs/sha256/" + DigestHex(Sha256Of(content));
}

class HostileArchive : public testing::Test {
 protected:
  void ExpectRefused(const std::string& what, const std::string& archive, ErrorCode code) {
    WriteTestFile(scratch_ / "archive", archive);
    const auto loaded = store_->Load(HostPath(scratch_ / "archive"), {});
    ASSERT_FALSE(loaded) << what;
    EXPECT_EQ(loaded.error().code, code) << what << ": " << loaded.error().message;
    EXPECT_TRUE(store_->List()->empty()) << what;
    for (const char* folder : {"blobs", "tmp", "merged"})
      EXPECT_TRUE(ListDirectory(scratch_ / (std::string("images/") + folder))->empty()) << what;
  }

  ScratchFolder scratch_{"hostile"};
  std::unique_ptr<ImageStore> store_ = ImageStore::Open(HostPath(scratch_ / "images")).value();
};

TEST_F(HostileArchive, IsRefusedAndLeavesNothing) {
  const std::string layer = TarBuilder().File("f", std::string(50'000, 'x')).Build();
  const std::string second = TarBuilder().File("g", "y").Build();
  const TestImage image{
      .layers = {second, layer}, .name = "app:1", .compression = TestImage::Compression::kNone};
  const auto oci = OciLayoutFiles({image});
  const auto docker = DockerArchiveFiles({image});
  const std::string good = TarOf(oci);

  ExpectRefused("nothing", "", kInvalid);
  ExpectRefused("noise", std::string(5000, 'n'), kInvalid);
  ExpectRefused("a tar without an image", TarOf({{"a", "b"}}), kInvalid);
  ExpectRefused("cut off", good.substr(0, good.size() / 2), kInvalid);
  ExpectRefused("compressed and cut off", Gzip(good).substr(0, 300), kInvalid);

  for (const char* name : {"oci-layout", "index.json"}) {
    for (const char* content : {"", "{", "[]", "7", "{\"schemaVersion\":2}"}) {
      auto files = oci;
      Replace(files, name, content);
      ExpectRefused(std::string(name) + " is " + content, TarOf(files), kInvalid);
    }
  }
  auto files = oci;
  Replace(files, "index.json", std::string(21 << 20, ' '));
  ExpectRefused("a huge index.json", TarOf(files), kInvalid);

  // A blob that is not what its name says, one after the other.
  for (const auto& [name, content] : oci) {
    if (!name.starts_with("blobs/")) continue;
    files = oci;
    std::string changed = content;
    changed[changed.size() / 2] ^= 1;
    Replace(files, name, changed);
    ExpectRefused("a changed byte in " + name, TarOf(files),
                  name == BlobOf(second) ? kInvalid : kLoss);
  }
}

TEST_F(HostileArchive, WithWrongDigestsIsRefused) {
  const std::string layer = TarBuilder().File("f", "x").Build();
  const std::string other = TarBuilder().File("f", "y").Build();
  // The config names another diffID than the layer has.
  TestImage lie{.layers = {layer}, .name = "a", .compression = TestImage::Compression::kNone};
  auto docker = DockerArchiveFiles({lie});
  Replace(docker, DigestHex(Sha256Of(layer)) + "/layer.tar", other);
  ExpectRefused("another layer than the diffID says", TarOf(docker), kLoss);
  docker = DockerArchiveFiles({lie});
  Replace(docker, "manifest.json",
          Swapped(docker.back().second, "\"Layers\":[", "\"Layers\":[\"x\","));
  ExpectRefused("more layers than diffIDs", TarOf(docker), kInvalid);
  docker = DockerArchiveFiles({lie});
  Replace(docker, "manifest.json", Swapped(docker.back().second, "/layer.tar", "/none.tar"));
  ExpectRefused("a layer that is not there", TarOf(docker), kInvalid);
  docker = DockerArchiveFiles({lie});
  Replace(docker, "manifest.json",
          Swapped(docker.back().second, "\"Config\":\"", "\"Config\":\"../"));
  ExpectRefused("a config outside", TarOf(docker), kInvalid);
  docker = DockerArchiveFiles({lie});
  Replace(docker, "manifest.json", Swapped(docker.back().second, "[\"a\"]", "[\"Not A Name\"]"));
  ExpectRefused("a name that is none", TarOf(docker), kInvalid);
  ExpectRefused("another architecture",
                TarOf(OciLayoutFiles({{.layers = {layer}, .architecture = "s390x"}})), kInvalid);
  ExpectRefused("a bad config",
                TarOf(OciLayoutFiles({{.layers = {layer}, .process = "{\"User\":1}"}})), kInvalid);
  ExpectRefused("a bad layer", TarOf(OciLayoutFiles({{.layers = {layer, std::string(3000, 'n')}}})),
                kInvalid);
}

TEST_F(HostileArchive, AFolderOfSymlinksLeadsNowhere) {
  const auto files = OciLayoutFiles({{.layers = {TarBuilder().File("f", "x").Build()}}});
  WriteTestFile(scratch_ / "outside", files.back().second);
  for (const std::string target : {"../outside", "/etc/hostname", "/proc/self/fd/0", "loop"}) {
    const auto folder = scratch_ / "layout";
    ASSERT_TRUE(RemoveTree(folder));
    WriteFolder(folder, files);
    std::filesystem::remove(folder / "index.json");
    std::filesystem::create_symlink(target, folder / "index.json");
    if (target == "loop") std::filesystem::create_symlink("index.json", folder / "loop");
    EXPECT_FALSE(store_->Load(HostPath(folder), {})) << target;
  }
  const auto folder = scratch_ / "fifo";
  WriteFolder(folder, files);
  std::filesystem::remove(folder / "index.json");
  ASSERT_EQ(mkfifo((folder / "index.json").c_str(), 0600), 0);
  EXPECT_EQ(store_->Load(HostPath(folder), {}).error().code, kInvalid);
  EXPECT_EQ(store_->Load(HostPath("/dev/zero"), {}).error().code, kInvalid);
  EXPECT_EQ(store_->Load(HostPath(scratch_ / "absent"), {}).error().code, ErrorCode::kNotFound);
}

TEST(HostileManifest, IsRefused) {
  const std::string descriptor = "{\"digest\":\"sha256:" + std::string(64, 'a') + "\",\"size\":1}";
  const std::string rows[] = {
      "{}",
      "{\"schemaVersion\":1,\"layers\":[],\"config\":" + descriptor + "}",
      "{\"schemaVersion\":2,\"layers\":[]}",
      "{\"schemaVersion\":2,\"layers\":[],\"manifests\":[],\"config\":" + descriptor + "}",
      "{\"schemaVersion\":2,\"layers\":{},\"config\":" + descriptor + "}",
      "{\"schemaVersion\":2,\"layers\":[5],\"config\":" + descriptor + "}",
      "{\"schemaVersion\":2,\"layers\":[{\"digest\":\"sha256:..\",\"size\":1}],\"config\":" +
          descriptor + "}",
      "{\"schemaVersion\":2,\"layers\":[{\"digest\":\"sha256:" + std::string(64, 'a') +
          "\",\"size\":-1}],\"config\":" + descriptor + "}",
      "{\"schemaVersion\":2,\"layers\":[" + Repeated(descriptor, 501) +
          "],\"config\":" + descriptor + "}",
      "{\"schemaVersion\":2,\"manifests\":[" + Repeated(descriptor, 4097) + "]}",
      "{\"schemaVersion\":2,\"layers\":[],\"config\":{\"mediaType\":\"application/"
      "vnd.oci.empty.v1+json\",\"digest\":\"sha256:" +
          std::string(64, 'a') + "\",\"size\":2}}",
  };
  for (const auto& row : rows) {
    const auto manifest = ParseManifest(row, "manifest");
    ASSERT_FALSE(manifest) << row.substr(0, 200);
    EXPECT_EQ(manifest.error().code, kInvalid) << row.substr(0, 200);
  }
}

}  // namespace
}  // namespace catamaran
