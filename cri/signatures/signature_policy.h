#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "cri/images/image_policy.h"
#include "cri/images/reference.h"
#include "cri/signatures/public_key.h"
#include "cri/signatures/signature_rule.h"
#include "sandbox/base/result.h"

namespace catamaran {

// Which images the configuration lets this node use, by the names they are asked for under. The
// files of keys are read whenever they are needed, so a key that is replaced counts from then on.
// Without rules everything is accepted. Thread-safe.
class SignaturePolicy : public ImagePolicy {
 public:
  explicit SignaturePolicy(std::vector<SignatureRule> rules) { Replace(std::move(rules)); }

  // What is asked from now on is answered by these.
  void Replace(std::vector<SignatureRule> rules);

  // kInvalidArgument or what reading a file gave, naming it: said at start, not at the first pull.
  Status CheckKeys() const;

  // What a pull of `reference` must bring.
  SignatureRule RuleOf(const ImageReference& reference) const;
  // Forbidden where nothing could make the name acceptable.
  Status CheckNotRejected(const ImageReference& reference) const;
  static Result<std::vector<PublicKey>> ReadKeys(const SignatureRule& rule);

  Status Admit(const Image& image, const std::string& reference) const override;
  Status AdmitLoaded(const std::string& reference) const override;

 private:
  Status AdmitName(const Image& image, const std::string& name) const;
  Status AdmitNameless(const Image& image) const;

  std::shared_ptr<const std::vector<SignatureRule>> rules() const;

  mutable std::mutex mutex_;
  std::shared_ptr<const std::vector<SignatureRule>> rules_;  // guarded by mutex_, never null
};

}  // namespace catamaran
