// Images from a registry: pulled over the CRI and by the command line, run on every hull, removed
// while they are in use.
#include "cri/registry/testing/local_registry.h"
#include "cri/registry/testing/test_server.h"
#include "e2e/harness/pod_test.h"
#include "e2e/harness/test_image.h"
#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {

// Debian's docker-registry in the world's own network, with one image.
class RegistryOfTheTest {
 public:
  void Start(World& world) {
    auto registry = LocalRegistry::Start({world.NewFolder("registry")});
    ASSERT_TRUE(registry) << registry.error().message;
    registry_.emplace(std::move(*registry));
    auto image = BusyboxImage("registry.test/team/busybox:1");
    ASSERT_TRUE(image);
    image->layers.push_back({{"etc/motd", "pulled\n"}});
    const std::string layout = world.NewFolder("layout");
    ASSERT_TRUE(WriteOciLayout(layout, {*image}));
    auto added = registry_->Add("team/busybox", "1", layout);
    ASSERT_TRUE(added) << added.error().message;
    digest_ = *added;
  }
  void Stop() { registry_.reset(); }
  std::string name() const { return registry_->address() + "/team/busybox:1"; }
  std::string by_digest() const { return registry_->address() + "/team/busybox@" + digest_; }
  LocalRegistry& operator*() { return *registry_; }
  LocalRegistry* operator->() { return &*registry_; }

 private:
  std::optional<LocalRegistry> registry_;
  std::string digest_;
};

v1::PullImageRequest PullRequest(const std::string& reference) {
  v1::PullImageRequest request;
  request.mutable_image()->set_image(reference);
  return request;
}

v1::RemoveImageRequest RemoveRequest(const std::string& reference) {
  v1::RemoveImageRequest request;
  request.mutable_image()->set_image(reference);
  return request;
}

class PulledImage : public PodTest {
 protected:
  void SetUp() override {
    PodTest::SetUp();
    registry_.Start(world());
  }
  void TearDown() override {
    registry_.Stop();
    PodTest::TearDown();
  }
  v1::ContainerConfig ConfigOf(const std::string& image, const std::string& script) {
    auto config = ShellConfig("main", script);
    config.mutable_image()->set_image(image);
    return config;
  }
  RegistryOfTheTest registry_;
};

TEST_P(PulledImage, Runs) {
  auto pulled = cri().PullImage(PullRequest(registry_.name()));
  ASSERT_TRUE(pulled.ok()) << pulled.message();
  const std::string pod = RunPod();
  const Ended ended = RunToEnd(pod, ConfigOf(pulled->image_ref(), "cat /etc/motd"));
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_EQ(ended.out, "pulled\n");
  StopAndRemovePod(pod);
  EXPECT_TRUE(cri().RemoveImage(RemoveRequest(registry_.name())).ok());
}

TEST_P(PulledImage, LivesOnInItsContainersWhenItIsRemoved) {
  auto pulled = cri().PullImage(PullRequest(registry_.name()));
  ASSERT_TRUE(pulled.ok()) << pulled.message();
  const std::string pod = RunPod();
  const std::string container =
      CreateAndStart(pod, ConfigOf(pulled->image_ref(), "while true; do sleep 1; done"));
  auto removed = cri().RemoveImage(RemoveRequest(pulled->image_ref()));
  ASSERT_TRUE(removed.ok()) << removed.message();
  v1::ImageStatusRequest status;
  status.mutable_image()->set_image(registry_.name());
  EXPECT_FALSE(cri().ImageStatus(status)->has_image());
  EXPECT_EQ(Output(container, "cat /etc/motd; ls /bin | wc -l | grep -q . && echo whole"),
            "pulled\nwhole\n");
  // Pulled again meanwhile: another container, the same layers.
  ASSERT_TRUE(cri().PullImage(PullRequest(registry_.name())).ok());
  EXPECT_EQ(Output(container, "cat /etc/motd"), "pulled\n");
  EXPECT_TRUE(cri().RemoveImage(RemoveRequest(registry_.name())).ok());
  StopAndRemovePod(pod);  // then the layers go too: the leak comparison says so
}

CATAMARAN_ON_EVERY_HANDLER(PulledImage);

class PullCall : public WorldTest {
 protected:
  void SetUp() override {
    WorldTest::SetUp();
    registry_.Start(world());
  }
  void TearDown() override {
    registry_.Stop();
    WorldTest::TearDown();
  }
  RegistryOfTheTest registry_;
};

TEST_F(PullCall, AnswersTheImagesId) {
  auto pulled = cri().PullImage(PullRequest(registry_.by_digest()));
  ASSERT_TRUE(pulled.ok()) << pulled.message();
  v1::ImageStatusRequest status;
  status.mutable_image()->set_image(registry_.by_digest());
  auto found = cri().ImageStatus(status);
  ASSERT_TRUE(found->has_image());
  EXPECT_EQ(found->image().id(), pulled->image_ref());
  ASSERT_EQ(found->image().repo_digests_size(), 1);
  EXPECT_EQ(found->image().repo_digests(0), registry_.by_digest());
  EXPECT_EQ(found->image().repo_tags_size(), 0);
  EXPECT_TRUE(cri().RemoveImage(RemoveRequest(pulled->image_ref())).ok());
}

TEST_F(PullCall, TellsFailuresAsTheKubeletExpectsThem) {
  EXPECT_EQ(cri().PullImage(PullRequest("")).code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(cri().PullImage(PullRequest("Not A Name")).code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(cri().PullImage(PullRequest(registry_->address() + "/absent:1")).code(),
            ErrorCode::kNotFound);
  TestServer broken([](const auto&) { return AnswerWith(503); });
  auto unavailable = cri().PullImage(PullRequest(broken.address() + "/app:1"));
  EXPECT_EQ(unavailable.code(), ErrorCode::kUnknown);
  EXPECT_TRUE(unavailable.message().starts_with("RegistryUnavailable")) << unavailable.message();
}

TEST_F(PullCall, EndsWithItsCallersDeadlineAndLeavesNothing) {
  TestServer hanging([](const auto&) { return TestServer::Answer{"", true}; });
  auto pulled = cri().PullImage(PullRequest(hanging.address() + "/app:1"), std::chrono::seconds(1));
  EXPECT_EQ(pulled.code(), ErrorCode::kDeadlineExceeded) << pulled.message();
}

TEST_F(PullCall, SecretsAreInNoErrorAndNoLog) {
  TestServer closed(
      [](const auto&) { return AnswerWith(401, "", "WWW-Authenticate: Basic realm=\"x\"\r\n"); });
  auto request = PullRequest(closed.address() + "/app:1");
  request.mutable_auth()->set_username("somebody");
  request.mutable_auth()->set_password("s3cr3t-pass");
  auto pulled = cri().PullImage(request);
  EXPECT_EQ(pulled.code(), ErrorCode::kPermissionDenied) << pulled.message();
  EXPECT_EQ(pulled.message().find("s3cr3t"), std::string::npos);
  const auto log = ReadFile(world().paths().base + "/daemon.log");
  ASSERT_TRUE(log);
  EXPECT_NE(log->find(closed.address()), std::string::npos);
  EXPECT_EQ(log->find("s3cr3t"), std::string::npos);
  EXPECT_EQ(log->find("c29tZWJvZHk6"), std::string::npos);  // base64 of it
}

TEST_F(PullCall, TheCommandLinePullsThroughTheDaemon) {
  const std::string program = ProgramFolder() + "/catamaran";
  const ProgramResult pulled =
      RunProgram({program, "image", "pull", registry_.name(), "--config", world().config_file()});
  ASSERT_EQ(pulled.exit_code, 0) << pulled.output;
  EXPECT_NE(pulled.output.find("MB done\n"), std::string::npos) << pulled.output;
  EXPECT_NE(pulled.output.find(registry_.name()), std::string::npos) << pulled.output;
  const ProgramResult listed =
      RunProgram({program, "image", "list", "--config", world().config_file()});
  EXPECT_NE(listed.output.find(registry_.name()), std::string::npos) << listed.output;
  EXPECT_TRUE(cri().RemoveImage(RemoveRequest(registry_.name())).ok());
}

// Without a daemon the command works on the store itself, by the same configuration.
TEST_F(PullCall, TheCommandLineObeysMirrorsAndPinsWithoutADaemon) {
  const std::string folder = world().NewFolder("standalone");
  ASSERT_TRUE(MakeDirectories(folder + "/hosts/registry.test"));
  ASSERT_TRUE(ReplaceFile(folder + "/hosts/registry.test/hosts.toml",
                          "server = \"http://" + registry_->address() + "\"\n", 0600,
                          Durability::kProcessCrash));
  const std::string config = folder + "/config.yaml";
  ASSERT_TRUE(ReplaceFile(config,
                          "root: " + folder + "/root\nrun: " + folder +
                              "/run\nimages:\n  hosts_dir: " + folder +
                              "/hosts\n  pinned: [\"registry.test/team/busybox:1\"]\n",
                          0600, Durability::kProcessCrash));
  const std::string program = ProgramFolder() + "/catamaran";
  const ProgramResult pulled =
      RunProgram({program, "image", "pull", "registry.test/team/busybox:1", "--config", config});
  ASSERT_EQ(pulled.exit_code, 0) << pulled.output;
  EXPECT_NE(pulled.output.find("registry.test/team/busybox:1  pinned"), std::string::npos)
      << pulled.output;
  const ProgramResult refused =
      RunProgram({program, "image", "pull", "registry.test/absent", "--config", config});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_NE(refused.output.find("MANIFEST_UNKNOWN"), std::string::npos) << refused.output;
  ASSERT_TRUE(RemoveTree(folder));
}

}  // namespace
}  // namespace catamaran::e2e
