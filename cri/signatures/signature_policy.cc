#include "cri/signatures/signature_policy.h"

#include <algorithm>

#include "sandbox/base/files.h"

namespace catamaran {
namespace {

constexpr size_t kLargestKeyFile = 64 << 10;
const SignatureRule kAcceptAll{"*", SignatureRule::Kind::kAccept, {}};

std::string Rule(const SignatureRule& rule) {
  return fmt::format("images.signature_policy, scope {}", rule.scope);
}

tl::unexpected<Error> Rejected(const SignatureRule& rule, const std::string& name) {
  return Forbidden("{}: {} is rejected", Rule(rule), name);
}

bool IsSignedFor(const Image& image, const std::string& repository,
                 const std::vector<PublicKey>& keys) {
  return std::any_of(image.signatures.begin(), image.signatures.end(),
                     [&](const VerifiedSignature& signature) {
                       return signature.repository == repository &&
                              std::any_of(keys.begin(), keys.end(), [&](const PublicKey& key) {
                                return key.fingerprint() == signature.key;
                              });
                     });
}

}  // namespace

Result<std::vector<PublicKey>> SignaturePolicy::ReadKeys(const SignatureRule& rule) {
  std::vector<PublicKey> keys;
  for (const HostPath& file : rule.keys) {
    auto text = ReadFile(file.value(), kLargestKeyFile);
    if (!text) return tl::unexpected(std::move(text).error().While(Rule(rule)));
    auto key = PublicKey::Parse(*text, file.string());
    if (!key) return tl::unexpected(std::move(key).error().While(Rule(rule)));
    keys.push_back(std::move(*key));
  }
  return keys;
}

void SignaturePolicy::Replace(std::vector<SignatureRule> rules) {
  auto replaced = std::make_shared<const std::vector<SignatureRule>>(std::move(rules));
  const std::lock_guard lock(mutex_);
  rules_ = std::move(replaced);
}

std::shared_ptr<const std::vector<SignatureRule>> SignaturePolicy::rules() const {
  const std::lock_guard lock(mutex_);
  return rules_;
}

Status SignaturePolicy::CheckKeys() const {
  const auto rules = this->rules();
  for (const SignatureRule& rule : *rules) RETURN_IF_ERROR(ReadKeys(rule));
  return {};
}

SignatureRule SignaturePolicy::RuleOf(const ImageReference& reference) const {
  const auto rules = this->rules();
  const SignatureRule* rule = RuleFor(*rules, reference.repository);
  return rule != nullptr ? *rule : kAcceptAll;
}

Status SignaturePolicy::CheckNotRejected(const ImageReference& reference) const {
  const SignatureRule rule = RuleOf(reference);
  if (rule.kind != SignatureRule::Kind::kReject) return {};
  return Rejected(rule, reference.ToString());
}

Status SignaturePolicy::AdmitName(const Image& image, const std::string& name) const {
  ASSIGN_OR_RETURN(const auto reference, ParseImageReference(name));
  const SignatureRule rule = RuleOf(reference);
  if (rule.kind == SignatureRule::Kind::kAccept) return {};
  if (rule.kind == SignatureRule::Kind::kReject) return Rejected(rule, reference.ToString());
  ASSIGN_OR_RETURN(const auto keys, ReadKeys(rule));
  if (IsSignedFor(image, reference.repository, keys)) return {};
  return Forbidden(
      "{}: no pull of {} has verified a signature by one of its keys for image {}: it must "
      "be pulled again",
      Rule(rule), reference.ToString(), image.id);
}

Status SignaturePolicy::Admit(const Image& image, const std::string& reference) const {
  if (rules()->empty()) return {};
  const bool is_id = ParseImageId(reference) || image.id.starts_with("sha256:" + reference);
  if (!is_id) return AdmitName(image, reference);
  // An id says nothing of where the image came from: any name of its may speak for it.
  Status admitted = AdmitNameless(image);
  if (image.repo_digests.empty() && image.repo_tags.empty()) return admitted;
  for (const auto* names : {&image.repo_digests, &image.repo_tags}) {
    for (const std::string& name : *names) {
      admitted = AdmitName(image, name);
      if (admitted) return {};
    }
  }
  return admitted;
}

Status SignaturePolicy::AdmitNameless(const Image& image) const {
  const auto rules = this->rules();
  const SignatureRule* rule = RuleFor(*rules, "");
  if (rule == nullptr || rule->kind == SignatureRule::Kind::kAccept) return {};
  return Rejected(*rule, image.id + ", which has no name,");
}

Status SignaturePolicy::AdmitLoaded(const std::string& reference) const {
  ASSIGN_OR_RETURN(const auto parsed, ParseImageReference(reference));
  const SignatureRule rule = RuleOf(parsed);
  if (rule.kind == SignatureRule::Kind::kAccept) return {};
  if (rule.kind == SignatureRule::Kind::kReject) return Rejected(rule, parsed.ToString());
  return Forbidden(
      "{}: an archive brings no signature that could be verified for {}: pull it from a "
      "registry, or load it under a name of another scope",
      Rule(rule), parsed.ToString());
}

}  // namespace catamaran
