// Pulls under a signature policy: who signed what is checked before a layer is fetched.
#include "cri/images/hasher.h"
#include "cri/images/image_policy.h"
#include "cri/images/manifest.h"
#include "cri/images/reference.h"
#include "cri/registry/testing/pull_lab.h"
#include "cri/signatures/signed_content.h"
#include "cri/signatures/testing/signer.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

class SignatureTest : public PullLab {
 protected:
  using Request = TestServer::Request;

  SignatureTest() {
    RequireSignatures(registry_->address() + "/team", signer_);
    digest_ = AddImage(*registry_, "team/app", "1", image_);
  }

  std::string KeyFile(const Signer& signer) {
    const auto path = scratch_ / ("key-" + std::to_string(++keys_) + ".pub");
    WriteTestFile(path, signer.public_pem());
    return path.string();
  }
  void SetPolicy(std::vector<SignatureRule> rules) {
    rules.push_back({"*", SignatureRule::Kind::kAccept, {}});
    options_.policy = std::make_shared<SignaturePolicy>(std::move(rules));
    MakePuller();
  }
  void RequireSignatures(const std::string& scope, const Signer& signer) {
    SetPolicy({{scope, SignatureRule::Kind::kSigned, {HostPath(KeyFile(signer))}}});
  }
  // Attaches a signature as cosign does.
  void Attach(const std::string& digest, const std::string& payload, const std::string& signature) {
    ASSERT_TRUE(registry_->AddBlob("team/app", payload));
    ASSERT_TRUE(registry_->AddBlob("team/app", "{}"));
    ASSERT_TRUE(registry_->AddManifest("team/app", SignatureTag(digest),
                                       CosignManifest(payload, signature)));
  }
  void Sign(const std::string& digest, const Signer& signer, const std::string& name) {
    const std::string payload = SimpleSigningPayload(name, digest);
    Attach(digest, payload, signer.Sign(payload));
  }
  void ExpectPulls(const std::string& name) {
    const auto pulled = Pull(name);
    ASSERT_TRUE(pulled) << pulled.error().message;
    ExpectWhole(*pulled, image_);
    EXPECT_TRUE(options_.policy->Admit(*pulled, name));
  }
  void ExpectRefused(const std::string& name, const std::string& part) {
    const auto pulled = Pull(name);
    ASSERT_FALSE(pulled);
    EXPECT_TRUE(IsForbidden(pulled.error())) << pulled.error().message;
    EXPECT_NE(pulled.error().message.find(part), std::string::npos) << pulled.error().message;
    EXPECT_FALSE(store_->Find(name).value());
    EXPECT_FALSE(Exists(BlobFile(image_.layers[0]))) << "a layer was fetched before the check";
  }

  const TestImage image_{.layers = {Layer("a", 100'000, 1)}};
  const Signer signer_;
  int keys_ = 0;
  std::unique_ptr<LocalRegistry> registry_ = StartRegistry();
  const std::string repository_ = registry_->address() + "/team/app";
  const std::string name_ = repository_ + ":1";
  std::string digest_;
};

TEST_F(SignatureTest, OfTheRightKeyForTheRightNameLetsAnImageIn) {
  Sign(digest_, signer_, repository_);
  ExpectPulls(name_);
  ASSERT_TRUE(store_->Remove(name_));
  ExpectPulls(repository_ + "@" + digest_);
}

TEST_F(SignatureTest, RsaAndEd25519CountToo) {
  for (const auto kind : {Signer::Kind::kRsa, Signer::Kind::kEd25519}) {
    const Signer signer(kind);
    RequireSignatures(registry_->address(), signer);
    Sign(digest_, signer, repository_);
    ExpectPulls(name_);
    ASSERT_TRUE(store_->Remove(name_));
  }
}

TEST_F(SignatureTest, WithoutOneNothingIsPulled) {
  ExpectRefused(name_, "no signature of " + digest_);
  ExpectRefused(repository_ + "@" + digest_, "no signature of " + digest_);
}

TEST_F(SignatureTest, OfAStrangerDoesNotCount) {
  Sign(digest_, Signer(), repository_);
  ExpectRefused(name_, "by none of the keys");
}

TEST_F(SignatureTest, OfAnotherRepositoryOrTagDoesNotCount) {
  Sign(digest_, signer_, registry_->address() + "/team/other");
  ExpectRefused(name_, "docker-reference");
  Sign(digest_, signer_, repository_ + ":2");
  ExpectRefused(name_, "docker-reference");
}

// What an attacker can do who owns the registry: show a good signature beside another image.
TEST_F(SignatureTest, OfAnotherDigestDoesNotCount) {
  const std::string payload = SimpleSigningPayload(repository_, "sha256:" + std::string(64, 'd'));
  Attach(digest_, payload, signer_.Sign(payload));
  ExpectRefused(name_, "docker-manifest-digest");
}

TEST_F(SignatureTest, OfAPayloadThatWasChangedDoesNotCount) {
  const std::string payload = SimpleSigningPayload(repository_, digest_);
  Attach(digest_, payload + " ", signer_.Sign(payload));
  ExpectRefused(name_, "by none of the keys");
}

TEST_F(SignatureTest, ThatIsNoManifestDoesNotCount) {
  for (const char* text : {"{}", "[", R"({"schemaVersion":2,"manifests":[]})"}) {
    ASSERT_TRUE(registry_->AddManifest("team/app", SignatureTag(digest_), text));
    const auto pulled = Pull(name_);
    ASSERT_FALSE(pulled);
    EXPECT_FALSE(Exists(BlobFile(image_.layers[0])));
  }
}

TEST_F(SignatureTest, ARejectedScopeIsNotEvenAskedFor) {
  TestServer front([&](const Request& request) { return Forward(request, registry_->port()); });
  SetPolicy({{front.address(), SignatureRule::Kind::kReject, {}}});
  ExpectRefused(front.address() + "/team/app:1", "is rejected");
  EXPECT_TRUE(front.requests().empty());
}

TEST_F(SignatureTest, OtherScopesNeedNone) {
  AddImage(*registry_, "free/app", "1", image_);
  ExpectPulls(registry_->address() + "/free/app:1");
}

TEST_F(SignatureTest, ComesFromTheMirrorButNamesTheOriginal) {
  RequireSignatures("r.test", signer_);
  TestServer original([](const Request&) { return AnswerWith(404); });
  WriteHosts("r.test", "server = \"" + original.url() + "\"\n[host.\"http://" +
                           registry_->address() + "\"]\n");
  Sign(digest_, signer_, repository_);
  ExpectRefused("r.test/team/app:1", "docker-reference");
  Sign(digest_, signer_, "r.test/team/app");
  ExpectPulls("r.test/team/app:1");
}

TEST_F(SignatureTest, OfAnIndexOrOfItsManifestIsEnough) {
  const auto manifest = ReadFile(scratch_ / "layout/blobs/sha256" / digest_.substr(7)).value();
  const std::string index = fmt::format(
      R"({{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[)"
      R"({{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{}","size":{},)"
      R"("platform":{{"os":"linux","architecture":"{}"}}}}]}})",
      digest_, manifest.size(), HostPlatform().architecture);
  const std::string top = registry_->AddManifest("team/app", "multi", index).value();
  ExpectRefused(repository_ + ":multi", "no signature of " + top);
  Sign(top, signer_, repository_);
  ExpectPulls(repository_ + ":multi");
  ASSERT_TRUE(store_->Remove(repository_ + ":multi"));
  Sign(top, Signer(), repository_);
  Sign(digest_, signer_, repository_);
  ExpectPulls(repository_ + ":multi");
}

TEST_F(SignatureTest, ThatCannotBeAskedForIsNoAnswer) {
  Sign(digest_, signer_, repository_);
  TestServer front([&](const Request& request) {
    if (request.Asks(".sig")) return AnswerWith(503);
    return Forward(request, registry_->port());
  });
  RequireSignatures(front.address(), signer_);
  const auto pulled = Pull(front.address() + "/team/app:1");
  ASSERT_FALSE(pulled);
  EXPECT_EQ(pulled.error().code, ErrorCode::kUnavailable) << pulled.error().message;
}

// A registry with OCI 1.1's referrers, which Debian's is not.
TEST_F(SignatureTest, InABundleAmongTheReferrersCounts) {
  const std::string bundle = BundleOf(digest_, signer_);
  const auto manifest_of = [&](const std::string& content) {
    EXPECT_TRUE(registry_->AddBlob("team/app", content));
    return fmt::format(
        R"({{"schemaVersion":2,"config":{{"mediaType":"application/vnd.oci.empty.v1+json",)"
        R"("digest":"{}","size":2}},"layers":[{{"mediaType":)"
        R"("application/vnd.dev.sigstore.bundle.v0.3+json","digest":"{}","size":{}}}]}})",
        Sha256Of("{}"), Sha256Of(content), content.size());
  };
  std::string manifest = manifest_of(bundle);
  bool has_api = true;
  const auto index = [&] {
    return fmt::format(
        R"({{"schemaVersion":2,"manifests":[{{"digest":"{}","size":{},"mediaType":"x",)"
        R"("artifactType":"application/vnd.dev.sigstore.bundle.v0.3+json"}}]}})",
        Sha256Of(manifest), manifest.size());
  };
  TestServer front([&](const Request& request) {
    if (has_api && request.Asks("/referrers/" + digest_)) return AnswerWith(200, index());
    return Forward(request, registry_->port());
  });
  const std::string name = front.address() + "/team/app:1";
  RequireSignatures(front.address(), signer_);
  ASSERT_TRUE(registry_->AddBlob("team/app", manifest));
  ExpectPulls(name);
  EXPECT_EQ(front.Count("/referrers/"), 1);

  ASSERT_TRUE(store_->Remove(name));
  has_api = false;  // then the index is under a tag
  ASSERT_TRUE(registry_->AddManifest("team/app", ReferrersTag(digest_), index()));
  ExpectPulls(name);

  ASSERT_TRUE(store_->Remove(name));
  has_api = true;
  manifest = manifest_of(BundleOf(digest_, Signer()));
  ASSERT_TRUE(registry_->AddBlob("team/app", manifest));
  ExpectRefused(name, "by none of the keys");
  manifest = manifest_of(BundleOf(digest_, signer_, "https://slsa.dev/provenance/v1"));
  ASSERT_TRUE(registry_->AddBlob("team/app", manifest));
  ExpectRefused(name, "predicateType");
}

TEST_F(SignatureTest, AnImagePulledBeforeIsVerifiedByTheNextPullWithoutItsLayers) {
  SetPolicy({});
  ExpectPulls(name_);
  RequireSignatures(registry_->address(), signer_);
  const auto before = store_->Find(name_).value();
  EXPECT_FALSE(options_.policy->Admit(*before, name_));
  EXPECT_FALSE(Pull(name_));
  Sign(digest_, signer_, repository_);
  ExpectPulls(name_);
  EXPECT_TRUE(options_.policy->Admit(*store_->Find(name_).value(), name_));
}

TEST_F(SignatureTest, IsRememberedByTheStoreAndForgottenWithTheImage) {
  Sign(digest_, signer_, repository_);
  ExpectPulls(name_);
  puller_.reset();
  store_.reset();
  store_ = ImageStore::Open(HostPath(scratch_ / "images")).value();
  MakePuller();
  EXPECT_TRUE(options_.policy->Admit(*store_->Find(name_).value(), name_));
  ASSERT_TRUE(store_->Remove(name_));
  SetPolicy({});
  ExpectPulls(name_);
  RequireSignatures(registry_->address(), signer_);
  EXPECT_FALSE(options_.policy->Admit(*store_->Find(name_).value(), name_));
}

TEST_F(SignatureTest, AnArchiveUnderASignedNameIsNotLoaded) {
  puller_.reset();
  store_.reset();
  store_ = ImageStore::Open(HostPath(scratch_ / "images"), {.policy = options_.policy}).value();
  MakePuller();
  const auto folder = HostPath(scratch_ / "layout");
  const auto refused = store_->Load(folder, {.reference = name_});
  ASSERT_FALSE(refused);
  EXPECT_TRUE(IsForbidden(refused.error()));
  EXPECT_TRUE(store_->List().value().empty());
  EXPECT_TRUE(store_->Load(folder, {.reference = "other.test/app:1"}));
}

}  // namespace
}  // namespace catamaran
