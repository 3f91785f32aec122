#include "cri/registry/signature_check.h"

#include <algorithm>

#include "cri/signatures/signed_content.h"

namespace catamaran {
namespace {

constexpr size_t kMaximumReferrers = 32;

// One check: remembers why the last signature that was looked at does not count.
class Check {
 public:
  Check(RegistryClient& client, const ImageReference& wanted, std::vector<PublicKey> keys,
        const RegistryClient::Caller& caller)
      : client_(client), wanted_(wanted), keys_(std::move(keys)), caller_(caller) {}

  // Whether a signature of this digest counts; then key() is whose it is.
  Result<bool> Find(const std::string& digest) {
    ASSIGN_OR_RETURN(const bool found, FindInTag(digest));
    if (found) return true;
    return FindAmongReferrers(digest);
  }
  const std::string& key() const { return key_; }
  const std::string& reason() const { return reason_; }

 private:
  // What a registry does not have, or has in a form that makes no sense, is no signature. Where it
  // could not be asked, nobody knows.
  static bool IsAbsence(const Error& error) {
    return error.code == ErrorCode::kNotFound || error.code == ErrorCode::kInvalidArgument ||
           error.code == ErrorCode::kDataLoss || error.code == ErrorCode::kResourceExhausted;
  }
  Result<bool> NotThis(const Error& error) {
    if (!IsAbsence(error)) return tl::unexpected(error);
    if (error.code != ErrorCode::kNotFound || reason_.empty()) reason_ = error.message;
    return false;
  }

  const PublicKey* KeyOf(const SignedContent& content) const {
    for (const PublicKey& key : keys_)
      for (const std::string& signature : content.signatures)
        if (key.Verifies(content.data, signature)) return &key;
    return nullptr;
  }
  bool Counts(const PublicKey* key, const Status& content) {
    if (key == nullptr) {
      reason_ = "a signature is by none of the keys";
      return false;
    }
    if (!content) {
      reason_ = content.error().message;
      return false;
    }
    key_ = key->fingerprint();
    return true;
  }

  Result<bool> FindInTag(const std::string& digest) {
    const std::string tag = SignatureTag(digest);
    if (tag.empty()) return false;
    const auto manifest = client_.FetchManifestFromAny(tag, caller_);
    if (!manifest) return NotThis(manifest.error());
    const auto layers = ReadCosignManifest(manifest->text);
    if (!layers) return NotThis(layers.error());
    for (const CosignLayer& layer : *layers) {
      const auto payload = client_.FetchContent(layer.payload, kMaximumSignatureBytes, caller_);
      if (!payload) {
        RETURN_IF_ERROR(NotThis(payload.error()));
        continue;
      }
      const PublicKey* key = KeyOf({*payload, {layer.signature}});
      if (Counts(key, key ? CheckSimpleSigning(*payload, digest, wanted_) : Status())) return true;
    }
    return false;
  }

  Result<bool> FindAmongReferrers(const std::string& digest) {
    const auto index = client_.FetchReferrers(digest, ReferrersTag(digest), caller_);
    // Registries that do not know the request answer as they like.
    if (!index && index.error().code == ErrorCode::kPermissionDenied) return false;
    if (!index) return NotThis(index.error());
    const auto parsed = ParseManifest(index->text, "the referrers of " + digest);
    if (!parsed) return NotThis(parsed.error());
    size_t asked = 0;
    for (const Descriptor& referrer : parsed->index) {
      if (!referrer.artifact_type.starts_with(kBundleTypePrefix)) continue;
      if (++asked > kMaximumReferrers) break;
      const auto manifest = client_.FetchManifest(referrer.digest, caller_);
      if (!manifest) {
        RETURN_IF_ERROR(NotThis(manifest.error()));
        continue;
      }
      ASSIGN_OR_RETURN(const bool found, FindInBundles(manifest->text, digest));
      if (found) return true;
    }
    return false;
  }

  Result<bool> FindInBundles(const std::string& text, const std::string& digest) {
    const auto parsed = ParseManifest(text, "a bundle's manifest");
    if (!parsed) return NotThis(parsed.error());
    if (!parsed->manifest) return false;
    for (const Descriptor& layer : parsed->manifest->layers) {
      if (!layer.media_type.starts_with(kBundleTypePrefix)) continue;
      const auto content = client_.FetchContent(layer, kMaximumSignatureBytes, caller_);
      if (!content) return NotThis(content.error());
      const auto bundle = ReadBundle(*content);
      if (!bundle) return NotThis(bundle.error());
      const PublicKey* key = KeyOf(bundle->signed_content);
      if (Counts(key, key ? CheckStatement(bundle->statement, digest) : Status())) return true;
    }
    return false;
  }

  RegistryClient& client_;
  const ImageReference& wanted_;
  const std::vector<PublicKey> keys_;
  const RegistryClient::Caller& caller_;
  std::string key_;
  std::string reason_;
};

}  // namespace

Result<std::vector<VerifiedSignature>> CheckSignatures(RegistryClient& client,
                                                       const SignaturePolicy& policy,
                                                       const ImageReference& wanted,
                                                       const std::vector<std::string>& digests,
                                                       const RegistryClient::Caller& caller) {
  RETURN_IF_ERROR(policy.CheckNotRejected(wanted));
  const SignatureRule rule = policy.RuleOf(wanted);
  if (rule.kind != SignatureRule::Kind::kSigned) return std::vector<VerifiedSignature>();
  ASSIGN_OR_RETURN(auto keys, SignaturePolicy::ReadKeys(rule));
  Check check(client, wanted, std::move(keys), caller);
  for (const std::string& digest : digests) {
    auto found = check.Find(digest);
    if (!found) return tl::unexpected(std::move(found).error().While("signatures of " + digest));
    if (*found) return std::vector<VerifiedSignature>{{wanted.repository, check.key()}};
  }
  return Forbidden("images.signature_policy, scope {}: no signature of {} counts: {}", rule.scope,
                   digests.front(), check.reason());
}

}  // namespace catamaran
