#include "cri/signatures/signature_policy.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "cri/signatures/testing/signer.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

class SignaturePolicyTest : public testing::Test {
 protected:
  ~SignaturePolicyTest() override { std::filesystem::remove_all(folder_.value()); }

  HostPath KeyFile(const std::string& name, const Signer& signer) {
    std::filesystem::create_directories(folder_.value());
    const HostPath path = folder_ / name;
    EXPECT_TRUE(ReplaceFile(path.value(), signer.public_pem(), 0600, Durability::kProcessCrash));
    return path;
  }
  static std::string Fingerprint(const Signer& signer) {
    return PublicKey::Parse(signer.public_pem(), "k").value().fingerprint();
  }
  static bool Admits(const SignaturePolicy& policy, const Image& image, const std::string& name) {
    const auto admitted = policy.Admit(image, name);
    EXPECT_TRUE(admitted || IsForbidden(admitted.error()));
    return admitted.has_value();
  }

  const HostPath folder_{testing::TempDir() + "/policy-" + std::to_string(getpid())};
  const Signer signer_;
  const HostPath key_ = KeyFile("team.pub", signer_);
  const SignaturePolicy policy_{{{"*", SignatureRule::Kind::kReject, {}},
                                 {"open.test", SignatureRule::Kind::kAccept, {}},
                                 {"r.test/team", SignatureRule::Kind::kSigned, {key_}}}};
  Image image_{.id = "sha256:" + std::string(64, 'c'),
               .repo_tags = {"r.test/team/app:1", "open.test/app:1"}};
};

TEST_F(SignaturePolicyTest, ANameIsAdmittedByItsOwnRule) {
  EXPECT_TRUE(Admits(policy_, image_, "open.test/app:1"));
  EXPECT_FALSE(Admits(policy_, image_, "else.test/app:1"));
  EXPECT_FALSE(Admits(policy_, image_, "r.test/team/app:1"));
  image_.signatures = {{"r.test/team/app", Fingerprint(signer_)}};
  EXPECT_TRUE(Admits(policy_, image_, "r.test/team/app:1"));
  EXPECT_TRUE(Admits(policy_, image_, "R.Test/team/app:1"));
  EXPECT_FALSE(Admits(policy_, image_, "r.test/team/other:1")) << "verified for another repository";
}

TEST_F(SignaturePolicyTest, AnIdIsAdmittedWhereAnyNameOfTheImageIs) {
  const std::string short_id = image_.id.substr(7, 13);
  EXPECT_TRUE(Admits(policy_, image_, image_.id));
  EXPECT_TRUE(Admits(policy_, image_, short_id));
  image_.repo_tags = {"r.test/team/app:1"};
  EXPECT_FALSE(Admits(policy_, image_, image_.id));
  EXPECT_FALSE(Admits(policy_, image_, short_id));
  image_.repo_tags = {};
  EXPECT_FALSE(Admits(policy_, image_, image_.id)) << "what has no name is of scope *";
}

TEST_F(SignaturePolicyTest, AKeyThatIsReplacedCountsAtOnce) {
  image_.signatures = {{"r.test/team/app", Fingerprint(signer_)}};
  ASSERT_TRUE(Admits(policy_, image_, "r.test/team/app:1"));
  KeyFile("team.pub", Signer());
  EXPECT_FALSE(Admits(policy_, image_, "r.test/team/app:1"));
}

TEST_F(SignaturePolicyTest, WithoutRulesEverythingIsAdmitted) {
  EXPECT_TRUE(Admits(SignaturePolicy({}), image_, "r.test/team/app:1"));
  EXPECT_TRUE(SignaturePolicy({}).AdmitLoaded("r.test/team/app:1"));
}

TEST_F(SignaturePolicyTest, ArchivesBringNoSignatures) {
  EXPECT_TRUE(policy_.AdmitLoaded("open.test/app:1"));
  const auto refused = policy_.AdmitLoaded("r.test/team/app:1");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("scope r.test/team"), std::string::npos);
  EXPECT_FALSE(policy_.AdmitLoaded("busybox"));
}

TEST_F(SignaturePolicyTest, AKeyThatCannotBeReadIsSaidAtStart) {
  EXPECT_TRUE(policy_.CheckKeys());
  std::filesystem::remove(key_.value());
  const auto checked = policy_.CheckKeys();
  ASSERT_FALSE(checked);
  EXPECT_NE(checked.error().message.find(key_.string()), std::string::npos);
}

}  // namespace
}  // namespace catamaran
