// Which images a node may use: the signature policy, from the first pull to the container.
#include "cri/registry/testing/local_registry.h"
#include "cri/signatures/testing/signer.h"
#include "e2e/harness/pod_test.h"
#include "e2e/harness/test_image.h"
#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {

class SignedImages : public PodTest {
 protected:
  void SetUp() override {
    PodTest::SetUp();
    folder_ = world().NewFolder("registry");
    auto registry = LocalRegistry::Start({folder_});
    ASSERT_TRUE(registry) << registry.error().message;
    registry_.emplace(std::move(*registry));
    auto image = BusyboxImage("registry.test/team/app:1");
    ASSERT_TRUE(image);
    const std::string layout = world().NewFolder("layout");
    ASSERT_TRUE(WriteOciLayout(layout, {*image}));
    digest_ = registry_->Add("team/app", "1", layout).value_or("");
    ASSERT_NE(digest_, "");
    repository_ = registry_->address() + "/team/app";
    name_ = repository_ + ":1";
  }
  void TearDown() override {
    registry_.reset();
    PodTest::TearDown();
    // What the other scenarios expect.
    EXPECT_EQ(world().daemon().Terminate(), 0);
    EXPECT_TRUE(world().Configure(""));
    EXPECT_TRUE(world().RestartDaemon());
  }

  // The daemon starts anew with this rule for the registry.
  void ServeWith(const std::string& rule) {
    const std::string policy = fmt::format(
        "images:\n  signature_policy:\n    - {{scope: '*', rule: accept}}\n"
        "    - {{scope: '{}', rule: {}}}\n",
        registry_->address(), rule);
    ASSERT_TRUE(ReplaceFile(world().config_file(), policy + ConfigText(world().paths()), 0600,
                            Durability::kProcessCrash));
    ASSERT_EQ(world().daemon().Terminate(), 0);
    auto started = world().RestartDaemon();
    ASSERT_TRUE(started) << started.error().message;
  }
  std::string SignedBy(const Signer& signer) {
    const std::string file = folder_ + "/team.pub";
    EXPECT_TRUE(ReplaceFile(file, signer.public_pem(), 0600, Durability::kProcessCrash));
    return "signed, keys: [" + file + "]";
  }
  void Sign(const Signer& signer) {
    const std::string payload = SimpleSigningPayload(repository_, digest_);
    ASSERT_TRUE(registry_->AddBlob("team/app", payload));
    ASSERT_TRUE(registry_->AddBlob("team/app", "{}"));
    ASSERT_TRUE(registry_->AddManifest("team/app", "sha256-" + digest_.substr(7) + ".sig",
                                       CosignManifest(payload, signer.Sign(payload))));
  }

  Reply<v1::PullImageResponse> PullIt() {
    v1::PullImageRequest request;
    request.mutable_image()->set_image(name_);
    return cri().PullImage(request);
  }
  bool IsHere() {
    v1::ImageStatusRequest request;
    request.mutable_image()->set_image(name_);
    return cri().ImageStatus(request)->has_image();
  }
  // As the kubelet asks for a container: by id, with the pod's word for it.
  v1::ContainerConfig ConfigOf(const std::string& id) {
    auto config = ShellConfig("main", "echo runs");
    config.mutable_image()->set_image(id);
    config.mutable_image()->set_user_specified_image(name_);
    return config;
  }

  std::string folder_, digest_, repository_, name_;
  std::optional<LocalRegistry> registry_;
  const Signer signer_;
};

TEST_P(SignedImages, RunOnlyOnceVerifiedUnderThePolicyOfNow) {
  const auto unsigned_pull = PullIt();
  ASSERT_TRUE(unsigned_pull.ok()) << unsigned_pull.message();
  const std::string id = unsigned_pull->image_ref();
  ASSERT_TRUE(IsHere());

  ASSERT_NO_FATAL_FAILURE(ServeWith(SignedBy(signer_)));
  EXPECT_FALSE(IsHere()) << "the kubelet would not pull it again";
  const auto refused = PullIt();
  EXPECT_EQ(refused.code(), ErrorCode::kUnknown);
  EXPECT_TRUE(refused.message().starts_with("SignatureValidationFailed")) << refused.message();
  const std::string pod = RunPod();
  v1::CreateContainerRequest request;
  request.set_pod_sandbox_id(pod);
  *request.mutable_config() = ConfigOf(id);
  const auto created = cri().CreateContainer(request);
  EXPECT_FALSE(created.ok());
  EXPECT_TRUE(created.message().starts_with("SignatureValidationFailed")) << created.message();

  Sign(signer_);
  const auto pulled = PullIt();
  ASSERT_TRUE(pulled.ok()) << pulled.message();
  EXPECT_EQ(pulled->image_ref(), id);
  EXPECT_TRUE(IsHere());
  EXPECT_EQ(RunToEnd(pod, ConfigOf(id)).out, "runs\n");

  ASSERT_NO_FATAL_FAILURE(ServeWith("reject"));
  EXPECT_FALSE(IsHere());
  EXPECT_TRUE(PullIt().message().starts_with("SignatureValidationFailed"));
  StopAndRemovePod(pod);
  v1::RemoveImageRequest removal;
  removal.mutable_image()->set_image(name_);
  EXPECT_TRUE(cri().RemoveImage(removal).ok());
}

CATAMARAN_ON_EVERY_HANDLER(SignedImages);

}  // namespace
}  // namespace catamaran::e2e
