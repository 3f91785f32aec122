// Hostile archives and JSON: each row must fail with its code, and leave nothing.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "cri/images/hasher.h"
#include "cri/images/image_config.h"
#include "cri/images/image_store.h"
#include "cri/images/manifest.h"
#include "cri/images/reference.h"
#include "cri/images/testing/image_builder.h"
#include "cri/images/testing/tar_builder.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

constexpr ErrorCode kInvalid = ErrorCode::kInvalidArgument;
constexpr ErrorCode kLoss = ErrorCode::kDataLoss;

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
  };
  for (const auto& row : rows) {
    const auto manifest = ParseManifest(row, "manifest");
    ASSERT_FALSE(manifest) << row.substr(0, 200);
    EXPECT_EQ(manifest.error().code, kInvalid) << row.substr(0, 200);
  }
}

}  // namespace
}  // namespace catamaran
