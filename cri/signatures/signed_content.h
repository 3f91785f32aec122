#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cri/images/manifest.h"
#include "cri/images/reference.h"
#include "sandbox/base/result.h"

// What signatures are written in. Everything here reads a stranger's bytes: bounded, checked, and
// believed only once a key has verified what SignedContent::data holds.
namespace catamaran {

// The most that is read of one payload or bundle, and looked at of one image's signatures.
inline constexpr size_t kMaximumSignatureBytes = 1 << 20;
inline constexpr size_t kMaximumSignatures = 100;

// Some bytes, and signatures of them.
struct SignedContent {
  std::string data;
  std::vector<std::string> signatures;
};

// Where cosign keeps the signatures of the image with this digest: "sha256-<hex>.sig". Without the
// suffix: the index of what refers to it, where a registry has no referrers API. Empty where it
// would be no tag.
std::string SignatureTag(std::string_view digest);
std::string ReferrersTag(std::string_view digest);

// One layer of that tag's manifest: its blob is a payload of "simple signing", its annotation the
// signature.
struct CosignLayer {
  Descriptor payload;
  std::string signature;
};
// kInvalidArgument where the text is no manifest. Layers of other types are left out.
Result<std::vector<CosignLayer>> ReadCosignManifest(std::string_view text);

// Whether a payload says that the image `digest` may be called `wanted`: its type, its digest, and
// its docker-reference: the same repository, and where that has a tag and `wanted` one, the same.
// kPermissionDenied saying what differs.
Status CheckSimpleSigning(std::string_view payload, const std::string& digest,
                          const ImageReference& wanted);

// A sigstore bundle (JSON) whose content is a DSSE envelope: what cosign 3 attaches. The data are
// the bytes that the envelope's signatures are of.
inline constexpr char kBundleTypePrefix[] = "application/vnd.dev.sigstore.bundle";
struct Bundle {
  SignedContent signed_content;
  std::string statement;  // in-toto, JSON
};
Result<Bundle> ReadBundle(std::string_view text);

// Whether an in-toto statement is a signature of the image `digest`: other predicates
// (provenance, the result of a scan) say something about an image, not that it may be used. It
// names no repository. kPermissionDenied saying what differs.
Status CheckStatement(std::string_view statement, const std::string& digest);

}  // namespace catamaran
