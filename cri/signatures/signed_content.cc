#include "cri/signatures/signed_content.h"

#include "cri/base/base64.h"
#include "cri/base/json.h"
#include "cri/base/text.h"

namespace catamaran {
namespace {

constexpr char kPayloadType[] = "application/vnd.dev.cosign.simplesigning.v1+json";
constexpr char kSignatureAnnotation[] = "dev.cosignproject.cosign/signature";
// containers/image, docs/containers-signature.5.md; cosign writes the second.
constexpr std::string_view kSigningTypes[] = {"atomic container signature",
                                              "cosign container image signature"};
constexpr char kInTotoType[] = "application/vnd.in-toto+json";
constexpr char kSignPredicate[] = "https://sigstore.dev/cosign/sign/v1";
constexpr size_t kLongestTag = 128;
constexpr size_t kLongestWords = 200;
constexpr size_t kMaximumSubjects = 64;
constexpr size_t kMaximumEnvelopeSignatures = 16;

tl::unexpected<Error> Differs(std::string_view what, std::string_view is, std::string_view right) {
  return Fail(ErrorCode::kPermissionDenied, "what was signed has {} '{}', not {}", what,
              OneLine(is, kLongestWords), right);
}

std::string DigestTag(std::string_view digest, std::string_view suffix) {
  std::string tag(digest);
  if (const auto colon = tag.find(':'); colon != std::string::npos) tag[colon] = '-';
  tag += suffix;
  return tag.size() <= kLongestTag ? tag : "";
}

bool NamesTag(const std::string& text) {
  const auto slash = text.rfind('/');
  return text.find(':', slash == std::string::npos ? 0 : slash) != std::string::npos;
}

// A digest in the name says no more than the payload's own.
Status CheckName(const std::string& name, const ImageReference& wanted) {
  const auto signed_name = ParseImageReference(name);
  if (!signed_name) return Differs("docker-reference", name, "an image's name");
  if (signed_name->repository != wanted.repository)
    return Differs("docker-reference", name, wanted.repository);
  if (signed_name->digest.empty() && NamesTag(name) && !wanted.tag.empty() &&
      signed_name->tag != wanted.tag)
    return Differs("docker-reference", name, wanted.ToString());
  return {};
}

// DSSE, protocol.md: "pre-authentication encoding".
std::string PreAuthenticationEncoding(const std::string& type, const std::string& body) {
  return fmt::format("DSSEv1 {} {} {} {}", type.size(), type, body.size(), body);
}

Result<std::string> Decode(const JsonObject& object, const char* field) {
  ASSIGN_OR_RETURN(const auto text, object.String(field));
  auto bytes = DecodeBase64(text);
  if (!bytes || bytes->empty())
    return Fail(ErrorCode::kInvalidArgument, "field \"{}\" is no base64", field);
  return std::move(*bytes);
}

}  // namespace

std::string SignatureTag(std::string_view digest) { return DigestTag(digest, ".sig"); }
std::string ReferrersTag(std::string_view digest) { return DigestTag(digest, ""); }

Result<std::vector<CosignLayer>> ReadCosignManifest(std::string_view text) {
  ASSIGN_OR_RETURN(const auto parsed, ParseManifest(text, "the signatures' manifest"));
  if (!parsed.manifest)
    return Fail(ErrorCode::kInvalidArgument, "the signatures' manifest is an index");
  std::vector<CosignLayer> layers;
  for (const Descriptor& layer : parsed.manifest->layers) {
    const std::string encoded = layer.Annotation(kSignatureAnnotation);
    if (layer.media_type != kPayloadType || layers.size() == kMaximumSignatures) continue;
    if (auto signature = DecodeBase64(encoded); signature && !signature->empty())
      layers.push_back({layer, std::move(*signature)});
  }
  return layers;
}

Status CheckSimpleSigning(std::string_view payload, const std::string& digest,
                          const ImageReference& wanted) {
  ASSIGN_OR_RETURN(const auto json, ParseJson(payload, "the signed payload"));
  ASSIGN_OR_RETURN(const auto root, JsonObject::From(json, "the signed payload"));
  ASSIGN_OR_RETURN(const auto critical, root.Object("critical"));
  ASSIGN_OR_RETURN(const auto type, critical.String("type"));
  ASSIGN_OR_RETURN(const auto image, critical.Object("image"));
  ASSIGN_OR_RETURN(const auto signed_digest, image.String("docker-manifest-digest"));
  ASSIGN_OR_RETURN(const auto identity, critical.Object("identity"));
  ASSIGN_OR_RETURN(const auto name, identity.String("docker-reference"));
  if (type != kSigningTypes[0] && type != kSigningTypes[1])
    return Differs("the type", type, kSigningTypes[1]);
  if (signed_digest != digest) return Differs("docker-manifest-digest", signed_digest, digest);
  return CheckName(name, wanted);
}

Result<Bundle> ReadBundle(std::string_view text) {
  ASSIGN_OR_RETURN(const auto json, ParseJson(text, "the bundle"));
  ASSIGN_OR_RETURN(const auto root, JsonObject::From(json, "the bundle"));
  if (!root.Has("dsseEnvelope"))
    return Fail(ErrorCode::kInvalidArgument, "the bundle has no dsseEnvelope");
  ASSIGN_OR_RETURN(const auto envelope, root.Object("dsseEnvelope"));
  ASSIGN_OR_RETURN(const auto type, envelope.String("payloadType"));
  if (type != kInTotoType)
    return Fail(ErrorCode::kInvalidArgument, "the bundle's payloadType is '{}', not {}",
                OneLine(type, kLongestWords), kInTotoType);
  Bundle bundle;
  ASSIGN_OR_RETURN(bundle.statement, Decode(envelope, "payload"));
  bundle.signed_content.data = PreAuthenticationEncoding(type, bundle.statement);
  RETURN_IF_ERROR(envelope.ForEach(
      "signatures", [&](const nlohmann::json& element, std::string where) -> Status {
        if (bundle.signed_content.signatures.size() == kMaximumEnvelopeSignatures) return {};
        ASSIGN_OR_RETURN(const auto entry, JsonObject::From(element, std::move(where)));
        ASSIGN_OR_RETURN(auto signature, Decode(entry, "sig"));
        bundle.signed_content.signatures.push_back(std::move(signature));
        return {};
      }));
  return bundle;
}

Status CheckStatement(std::string_view statement, const std::string& digest) {
  ASSIGN_OR_RETURN(const auto json, ParseJson(statement, "the signed statement"));
  ASSIGN_OR_RETURN(const auto root, JsonObject::From(json, "the signed statement"));
  ASSIGN_OR_RETURN(const auto predicate, root.String("predicateType"));
  if (predicate != kSignPredicate) return Differs("predicateType", predicate, kSignPredicate);
  const std::string algorithm = digest.substr(0, digest.find(':'));
  bool found = false;
  size_t subjects = 0;
  RETURN_IF_ERROR(
      root.ForEach("subject", [&](const nlohmann::json& element, std::string where) -> Status {
        if (++subjects > kMaximumSubjects) return {};
        ASSIGN_OR_RETURN(const auto subject, JsonObject::From(element, std::move(where)));
        ASSIGN_OR_RETURN(const auto digests, subject.Object("digest"));
        ASSIGN_OR_RETURN(const auto hex, digests.String(algorithm.c_str()));
        found |= algorithm + ":" + hex == digest;
        return {};
      }));
  if (!found) return Differs("as its subjects", fmt::format("{} others", subjects), digest);
  return {};
}

}  // namespace catamaran
