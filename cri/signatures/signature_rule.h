#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sandbox/base/strong_types.h"

namespace catamaran {

// What proves that an image may be used under names of one scope.
struct SignatureRule {
  enum class Kind {
    kAccept,  // nothing has to
    kReject,  // nothing can
    kSigned,  // a sigstore signature by one of the keys
  };
  // As CanonicalScope gives it: "*", "r.test:5000", "r.test/team", "r.test/team/app", "*.test".
  std::string scope;
  Kind kind = Kind::kAccept;
  std::vector<HostPath> keys;  // kSigned: PEM files with one public key each
};

// A scope as rules have it: hosts in lower case, Docker Hub as docker.io (whose official images are
// below docker.io/library). Empty where `text` is no scope.
std::string CanonicalScope(std::string_view text);

// The rule whose scope is the longest that `repository` ("r.test/team/app") is in: a prefix that
// ends where a part of the name does; then "*.domain", the longest first; then "*". Null where
// there is none.
const SignatureRule* RuleFor(const std::vector<SignatureRule>& rules, std::string_view repository);

}  // namespace catamaran
