#include "cri/config/read_images.h"

#include <algorithm>

#include "cri/images/reference.h"

namespace catamaran {
namespace {

using Rules = std::vector<SignatureRule>;

Status ReadPinned(const YamlValue& value, std::vector<std::string>* pinned) {
  return value.ReadSequence([pinned](const YamlValue& item) -> Status {
    std::string text;
    RETURN_IF_ERROR(item.Read(&text));
    const auto reference = ParseImageReference(text);
    if (!reference) return item.Wrong("an image reference: [HOST/]NAME[:TAG][@DIGEST]");
    pinned->push_back(reference->ToString());
    return {};
  });
}

bool HasScope(const Rules& rules, const std::string& scope) {
  return std::any_of(rules.begin(), rules.end(),
                     [&](const SignatureRule& rule) { return rule.scope == scope; });
}

Status ReadScope(const YamlValue& value, const Rules& others, std::string* out) {
  std::string text;
  RETURN_IF_ERROR(value.Read(&text));
  *out = CanonicalScope(text);
  if (out->empty())
    return value.Wrong("HOST[:PORT], HOST[:PORT]/PATH without a tag, *.DOMAIN, or * for all names");
  if (HasScope(others, *out)) return value.Wrong("a scope of its own: another rule has " + *out);
  return {};
}

Status ReadRule(const YamlValue& value, Rules* rules) {
  SignatureRule rule;
  bool has_kind = false;
  RETURN_IF_ERROR(value.ReadMapping({
      {"scope", [&](const YamlValue& v) { return ReadScope(v, *rules, &rule.scope); }},
      {"rule",
       [&](const YamlValue& v) -> Status {
         ASSIGN_OR_RETURN(const auto index, (v.ReadWord({"accept", "reject", "signed"})));
         rule.kind = static_cast<SignatureRule::Kind>(index);  // in the same order
         has_kind = true;
         return {};
       }},
      {"keys",
       [&](const YamlValue& v) {
         return v.ReadSequence([&](const YamlValue& item) {
           return item.ReadAbsolutePath(&rule.keys.emplace_back());
         });
       }},
  }));
  if (rule.scope.empty()) return value.Wrong("a mapping with a scope");
  if (!has_kind) return value.Wrong("a mapping with a rule: accept, reject or signed");
  const bool is_signed = rule.kind == SignatureRule::Kind::kSigned;
  if (is_signed && rule.keys.empty())
    return value.Wrong("with keys where the rule is signed: PEM files of public keys");
  if (!is_signed && !rule.keys.empty())
    return value.Wrong("without keys where the rule is not signed");
  rules->push_back(std::move(rule));
  return {};
}

// What no rule names must be said: a policy that forgets it would accept everything else.
Status ReadPolicy(const YamlValue& value, Rules* rules) {
  RETURN_IF_ERROR(
      value.ReadSequence([rules](const YamlValue& item) { return ReadRule(item, rules); }));
  if (!rules->empty() && !HasScope(*rules, "*"))
    return value.Wrong("with a rule of scope '*', for all other names");
  return {};
}

}  // namespace

Status ReadImages(const YamlValue& value, ImagesConfig* images) {
  return value.ReadMapping({
      {"hosts_dir",
       [images](const YamlValue& v) { return v.ReadAbsolutePath(&images->hosts_dir); }},
      {"docker_config",
       [images](const YamlValue& v) { return v.ReadAbsolutePath(&images->docker_config); }},
      {"pinned", [images](const YamlValue& v) { return ReadPinned(v, &images->pinned); }},
      {"signature_policy",
       [images](const YamlValue& v) { return ReadPolicy(v, &images->signature_policy); }},
  });
}

}  // namespace catamaran
