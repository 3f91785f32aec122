#include "cri/signatures/signature_rule.h"

#include "cri/base/text.h"
#include "cri/images/reference.h"

namespace catamaran {
namespace {

const SignatureRule* RuleOf(const std::vector<SignatureRule>& rules, std::string_view scope) {
  for (const SignatureRule& rule : rules)
    if (rule.scope == scope) return &rule;
  return nullptr;
}

std::string_view WithoutPort(std::string_view host) {
  if (host.starts_with('[')) return host.substr(0, host.find(']') + 1);
  return host.substr(0, host.find(':'));
}

}  // namespace

std::string CanonicalScope(std::string_view text) {
  if (text == "*") return "*";
  const bool wildcard = text.starts_with("*.");
  const std::string_view body = wildcard ? text.substr(2) : text;
  const auto slash = body.find('/');
  if (wildcard && (slash != std::string_view::npos || body.find(':') != std::string_view::npos))
    return "";
  // The grammar of references checks both parts; a word more keeps it from guessing.
  const std::string host = ToLower(body.substr(0, slash));
  const std::string path(slash == std::string_view::npos ? "" : body.substr(slash + 1));
  const bool names_host =
      wildcard ? !host.empty()
               : host == "localhost" || host.find_first_of(".:") != std::string::npos;
  if (!names_host || (slash != std::string_view::npos && path.empty())) return "";
  if (path.find_first_of(":@") != std::string::npos) return "";
  const auto reference =
      ParseImageReference((wildcard ? "any." : "") + host + "/x/" + (path.empty() ? "x" : path));
  if (!reference) return "";
  const std::string own_host = reference->repository.substr(0, reference->repository.find('/'));
  if (wildcard) return "*." + own_host.substr(sizeof("any.") - 1);
  return own_host + (path.empty() ? "" : "/" + path);
}

const SignatureRule* RuleFor(const std::vector<SignatureRule>& rules, std::string_view repository) {
  std::string_view name = repository;
  for (;;) {
    if (const SignatureRule* rule = RuleOf(rules, name)) return rule;
    const auto slash = name.rfind('/');
    if (slash == std::string_view::npos) break;
    name = name.substr(0, slash);
  }
  std::string_view domain = WithoutPort(name);
  for (auto dot = domain.find('.'); dot != std::string_view::npos; dot = domain.find('.')) {
    domain.remove_prefix(dot + 1);
    if (const SignatureRule* rule = RuleOf(rules, "*." + std::string(domain))) return rule;
  }
  return RuleOf(rules, "*");
}

}  // namespace catamaran
