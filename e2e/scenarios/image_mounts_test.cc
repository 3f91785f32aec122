// Images mounted as volumes (KEP-4639): read-only, whole or a part, beside the container's own.
#include "e2e/harness/pod_test.h"

namespace catamaran::e2e {
namespace {

constexpr char kData[] = "docker.io/library/data:1";

class ImageMounts : public PodTest {
 protected:
  void SetUp() override {
    PodTest::SetUp();
    if (HasFatalFailure()) return;
    LoadForThisTest({.name = kData,
                     .layers = {{{"models", "", 0755, 'd'},
                                 {"models/weights", "one"},
                                 {"replaced", "below"},
                                 {"out", "", 0777, 'l', "/etc"}},
                                {{"replaced", "above"}}}});
    pod_ = RunPod();
  }

  v1::Mount* AddImage(v1::ContainerConfig& config, const std::string& path) {
    auto* mount = config.add_mounts();
    mount->set_container_path(path);
    mount->set_readonly(true);
    mount->mutable_image()->set_image(kData);
    return mount;
  }
  Ended Run(const v1::ContainerConfig& config) { return RunToEnd(pod_, config); }

  std::string pod_;
};

TEST_P(ImageMounts, ShowTheImageAndRefuseWrites) {
  auto config = ShellConfig(
      "main", "cat /data/replaced /data/models/weights; echo; touch /data/x 2>&1 | grep -o Read.*");
  AddImage(config, "/data");
  EXPECT_EQ(Run(config).out, "aboveone\nRead-only file system\n");
}

TEST_P(ImageMounts, ASubPathIsAllThatShows) {
  auto config = ShellConfig("main", "ls /data; cat /twice/replaced");
  AddImage(config, "/data")->set_image_sub_path("models");
  AddImage(config, "/twice");
  EXPECT_EQ(Run(config).out, "weights\nabove");
}

TEST_P(ImageMounts, ASubPathThatIsNotThereOrLeadsOutIsRefused) {
  for (const std::string path : {"absent", "out/passwd"}) {
    auto config = ShellConfig("main", "true");
    AddImage(config, "/data")->set_image_sub_path(path);
    auto reply = TryCreate(pod_, config);
    EXPECT_FALSE(reply.ok()) << path;
    EXPECT_NE(reply.message().find(path), std::string::npos) << reply.message();
    EXPECT_TRUE(reply.message().starts_with("ImageVolumeMountFailed: ")) << reply.message();
  }
}

TEST_P(ImageMounts, AnImageThatIsNotHereIsNotFoundByName) {
  auto config = ShellConfig("main", "true");
  AddImage(config, "/data")->mutable_image()->set_image("docker.io/library/absent:1");
  auto reply = TryCreate(pod_, config);
  EXPECT_EQ(reply.code(), ErrorCode::kNotFound) << reply.message();
  EXPECT_NE(reply.message().find("absent:1"), std::string::npos) << reply.message();
  EXPECT_TRUE(reply.message().starts_with("ImageVolumeMountFailed: ")) << reply.message();
}

// What the kubelet counts is images, not every mount beside one.
TEST_P(ImageMounts, AreNotBlamedForAnotherMount) {
  auto config = ShellConfig("main", "true");
  AddImage(config, "/data");
  auto* mount = config.add_mounts();
  mount->set_container_path("/bin/sh/below");
  mount->set_host_path(world().NewFolder("beside"));
  auto reply = TryCreate(pod_, config);
  EXPECT_FALSE(reply.ok());
  EXPECT_FALSE(reply.message().starts_with("ImageVolumeMountFailed")) << reply.message();
}

TEST_P(ImageMounts, TheStatusNamesTheImageById) {
  auto config = ShellConfig("main", "true");
  AddImage(config, "/data")->set_image_sub_path("models");
  const auto status = StatusOf(Create(pod_, config));
  ASSERT_EQ(status.mounts_size(), 1);
  EXPECT_EQ(status.mounts(0).image_sub_path(), "models");
  v1::ImageStatusRequest request;
  request.mutable_image()->set_image(kData);
  const std::string id = cri().ImageStatus(request)->image().id();
  ASSERT_FALSE(id.empty());
  EXPECT_EQ(status.mounts(0).image().image_ref(), id);
}

// The container holds what it mounts, not the image's name.
TEST_P(ImageMounts, LiveOnWhenTheImageIsRemoved) {
  auto config = ContainerConfig("main", {"/bin/sleep", "1000"});
  AddImage(config, "/data");
  const std::string id = CreateAndStart(pod_, config);
  v1::RemoveImageRequest remove;
  remove.mutable_image()->set_image(kData);
  ASSERT_TRUE(cri().RemoveImage(remove).ok());
  EXPECT_EQ(Output(id, "cat /data/models/weights"), "one");
}

CATAMARAN_ON_EVERY_HANDLER(ImageMounts);

}  // namespace
}  // namespace catamaran::e2e
