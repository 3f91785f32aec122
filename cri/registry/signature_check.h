#pragma once

#include <string>
#include <vector>

#include "cri/images/image_store.h"
#include "cri/images/reference.h"
#include "cri/registry/registry_client.h"
#include "cri/signatures/signature_policy.h"
#include "sandbox/base/result.h"

namespace catamaran {

// What the policy wants to see of an image before it is pulled as `wanted`. `digests`: what the
// name was resolved to, the first one first: of an index, of those in it, of this machine's
// manifest; a signature of any is enough, because each names the next. Signatures are looked for
// where the image comes from, mirrors included: in cosign's tag, then among the referrers.
// Returns what was verified; nothing where nothing has to be. Forbidden saying why no
// signature counts, kUnavailable and the other errors of RegistryClient where none could be asked
// for: never a guess.
Result<std::vector<VerifiedSignature>> CheckSignatures(RegistryClient& client,
                                                       const SignaturePolicy& policy,
                                                       const ImageReference& wanted,
                                                       const std::vector<std::string>& digests,
                                                       const RegistryClient::Caller& caller);

}  // namespace catamaran
