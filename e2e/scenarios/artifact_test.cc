// OCI artifacts as volumes: files from a registry that are no image, on every hull.
#include <filesystem>
#include <fstream>

#include "cri/images/hasher.h"
#include "cri/registry/testing/local_registry.h"
#include "e2e/harness/pod_test.h"
#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {

class Artifacts : public PodTest {
 protected:
  void SetUp() override {
    PodTest::SetUp();
    auto registry = LocalRegistry::Start({world().NewFolder("registry")});
    ASSERT_TRUE(registry) << registry.error().message;
    registry_.emplace(std::move(*registry));
    const std::string layout = world().NewFolder("artifact");
    std::filesystem::create_directories(layout + "/blobs/sha256");
    const auto descriptor = [&](const std::string& content, const std::string& type) {
      const std::string digest = Sha256Of(content);
      std::ofstream(layout + "/blobs/sha256/" + digest.substr(7)) << content;
      return R"({"mediaType":")" + type + R"(","digest":")" + digest + R"(","size":)" +
             std::to_string(content.size());
    };
    const auto file = [&](const std::string& name, const std::string& content) {
      return descriptor(content, "application/octet-stream") +
             R"(,"annotations":{"org.opencontainers.image.title":")" + name + R"("}})";
    };
    const std::string manifest =
        R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",)"
        R"("artifactType":"application/vnd.test.model","config":)" +
        descriptor("{}", "application/vnd.oci.empty.v1+json") + R"(},"layers":[)" +
        file("model.bin", "weights\n") + "," + file("config/model.json", "{\"layers\": 7}\n") +
        "]}";
    ASSERT_TRUE(registry_->AddBlobs("team/model", layout));
    const auto added = registry_->AddManifest("team/model", "1", manifest);
    ASSERT_TRUE(added) << added.error().message;
    v1::PullImageRequest pull;
    pull.mutable_image()->set_image(name());
    auto pulled = cri().PullImage(pull);
    ASSERT_TRUE(pulled.ok()) << pulled.message();
    reference_ = pulled->image_ref();
  }
  void TearDown() override {
    v1::RemoveImageRequest remove;
    remove.mutable_image()->set_image(name());
    EXPECT_TRUE(cri().RemoveImage(remove).ok());
    registry_.reset();
    PodTest::TearDown();
  }
  std::string name() const { return registry_->address() + "/team/model:1"; }
  v1::ContainerConfig With(const std::string& script, const std::string& sub_path = "") {
    auto config = ShellConfig("c" + std::to_string(++count_), script);
    auto* mount = config.add_mounts();
    mount->set_container_path("/model");
    mount->set_readonly(true);
    mount->mutable_image()->set_image(reference_);
    mount->set_image_sub_path(sub_path);
    return config;
  }

  std::optional<LocalRegistry> registry_;
  std::string reference_;
  int count_ = 0;
};

TEST_P(Artifacts, AreFoldersOfTheirFiles) {
  const std::string pod = RunPod();
  EXPECT_EQ(RunToEnd(pod, With("cat /model/model.bin /model/config/model.json; "
                               "touch /model/x 2>/dev/null || echo read-only"))
                .out,
            "weights\n{\"layers\": 7}\nread-only\n");
  StopAndRemovePod(pod);
}

TEST_P(Artifacts, OneFolderOrFileOfThemIsMountedBySubPath) {
  const std::string pod = RunPod();
  EXPECT_EQ(RunToEnd(pod, With("cat /model/model.json", "config")).out, "{\"layers\": 7}\n");
  EXPECT_EQ(RunToEnd(pod, With("cat /model", "model.bin")).out, "weights\n");
  StopAndRemovePod(pod);
}

TEST_P(Artifacts, DoNotRun) {
  const std::string pod = RunPod();
  auto config = ShellConfig("main", "true");
  config.mutable_image()->set_image(reference_);
  const auto created = TryCreate(pod, config);
  ASSERT_FALSE(created.ok());
  EXPECT_EQ(created.code(), ErrorCode::kInvalidArgument);
  EXPECT_NE(created.message().find("an artifact"), std::string::npos) << created.message();
  StopAndRemovePod(pod);
}

CATAMARAN_ON_EVERY_HANDLER(Artifacts);

}  // namespace
}  // namespace catamaran::e2e
