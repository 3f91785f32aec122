#include "cri/signatures/signed_content.h"

#include <gtest/gtest.h>

#include "cri/signatures/public_key.h"
#include "cri/signatures/testing/signer.h"

namespace catamaran {
namespace {

const std::string kDigest = "sha256:" + std::string(64, 'a');
const std::string kOther = "sha256:" + std::string(64, 'b');

PublicKey KeyOf(const Signer& signer) { return PublicKey::Parse(signer.public_pem(), "k").value(); }

TEST(PublicKeyTest, VerifiesWhatItsKeySignedAndNothingElse) {
  const Signer stranger;
  for (const auto kind :
       {Signer::Kind::kP256, Signer::Kind::kP384, Signer::Kind::kRsa, Signer::Kind::kEd25519}) {
    const Signer signer(kind);
    const PublicKey key = KeyOf(signer);
    const std::string signature = signer.Sign("payload");
    EXPECT_TRUE(key.Verifies("payload", signature));
    EXPECT_FALSE(key.Verifies("Payload", signature));
    EXPECT_FALSE(key.Verifies("payload", stranger.Sign("payload")));
    EXPECT_FALSE(key.Verifies("payload", ""));
    std::string bent = signature;
    bent[bent.size() / 2] ^= 1;
    EXPECT_FALSE(key.Verifies("payload", bent));
    EXPECT_EQ(key.fingerprint(), KeyOf(signer).fingerprint());
    EXPECT_NE(key.fingerprint(), KeyOf(stranger).fingerprint());
  }
}

TEST(PublicKeyTest, RefusesWhatIsNoneOrWeakNamingTheFile) {
  for (const std::string& text :
       {std::string(), std::string("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"),
        Signer(Signer::Kind::kSmallRsa).public_pem()}) {
    const auto key = PublicKey::Parse(text, "team.pub");
    ASSERT_FALSE(key);
    EXPECT_EQ(key.error().message.find("team.pub: holds no usable key"), 0u) << key.error().message;
  }
}

TEST(CosignManifestTest, GivesPayloadsAndSignatures) {
  const auto layers = ReadCosignManifest(CosignManifest("payload", "signature"));
  ASSERT_TRUE(layers) << layers.error().message;
  ASSERT_EQ(layers->size(), 1u);
  EXPECT_EQ((*layers)[0].signature, "signature");
  EXPECT_EQ((*layers)[0].payload.size, 7u);
  EXPECT_EQ(SignatureTag(kDigest), "sha256-" + std::string(64, 'a') + ".sig");
  EXPECT_EQ(SignatureTag("sha512:" + std::string(128, 'a')), "") << "longer than a tag may be";
}

TEST(SimpleSigning, MustNameTheDigestAndTheRepository) {
  const auto check = [](const std::string& name, const std::string& wanted) {
    return CheckSimpleSigning(SimpleSigningPayload(name, kDigest), kDigest,
                              ParseImageReference(wanted).value())
        .has_value();
  };
  EXPECT_TRUE(check("r.test/team/app", "r.test/team/app:1"));
  EXPECT_TRUE(check("r.test/team/app:1", "r.test/team/app:1"));
  EXPECT_TRUE(check("r.test/team/app:1", "r.test/team/app@" + kDigest));
  EXPECT_TRUE(check("r.test/team/app@" + kDigest, "r.test/team/app:1"));
  EXPECT_TRUE(check("index.docker.io/library/busybox", "busybox"));
  EXPECT_FALSE(check("r.test/team/app:2", "r.test/team/app:1"));
  EXPECT_FALSE(check("r.test/team/other", "r.test/team/app:1"));
  EXPECT_FALSE(check("evil.test/team/app", "r.test/team/app:1"));
  EXPECT_FALSE(check("r.test:5000/team/app", "r.test/team/app:1"));
  EXPECT_FALSE(check("", "r.test/team/app:1"));
  EXPECT_FALSE(check("*", "r.test/team/app:1"));
}

TEST(SimpleSigning, OfAnotherDigestOrTypeDoesNotCount) {
  const auto wanted = ParseImageReference("r.test/app").value();
  const std::string good = SimpleSigningPayload("r.test/app", kDigest);
  ASSERT_TRUE(CheckSimpleSigning(good, kDigest, wanted));
  const auto other = CheckSimpleSigning(good, kOther, wanted);
  EXPECT_EQ(other.error().code, ErrorCode::kPermissionDenied);
  EXPECT_NE(other.error().message.find("docker-manifest-digest"), std::string::npos);
  std::string typed = good;
  typed.replace(typed.find("cosign container"), 6, "kosign");
  EXPECT_FALSE(CheckSimpleSigning(typed, kDigest, wanted));
  for (const char* text : {"", "[]", "{}", "{\"critical\":7}", "{\"critical\":{\"type\":[]}}"})
    EXPECT_FALSE(CheckSimpleSigning(text, kDigest, wanted)) << text;
}

TEST(BundleTest, IsASignedStatementAboutADigest) {
  const Signer signer;
  const auto bundle = ReadBundle(BundleOf(kDigest, signer));
  ASSERT_TRUE(bundle) << bundle.error().message;
  ASSERT_EQ(bundle->signed_content.signatures.size(), 1u);
  EXPECT_TRUE(
      KeyOf(signer).Verifies(bundle->signed_content.data, bundle->signed_content.signatures[0]));
  EXPECT_TRUE(CheckStatement(bundle->statement, kDigest));
  EXPECT_FALSE(CheckStatement(bundle->statement, kOther));
  // Who says where an image was built, or what a scan found in it, does not say that it may run.
  const auto built = ReadBundle(BundleOf(kDigest, signer, "https://slsa.dev/provenance/v1"));
  EXPECT_FALSE(CheckStatement(built->statement, kDigest));
  for (const char* text : {"", "{}", "{\"dsseEnvelope\":{}}", "{\"messageSignature\":{}}",
                           "{\"dsseEnvelope\":{\"payloadType\":\"application/vnd.in-toto+json\"}}"})
    EXPECT_FALSE(ReadBundle(text)) << text;
}

}  // namespace
}  // namespace catamaran
