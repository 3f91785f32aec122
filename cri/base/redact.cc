#include "cri/base/redact.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "cri/base/text.h"

namespace catamaran {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 13> kSecretNames{
    "token",   "passwd",     "password",   "secret",    "credential",  "apikey",       "api_key",
    "api-key", "access_key", "access-key", "accesskey", "private_key", "authorization"};
// What the kubelet notes itself, and no user can.
constexpr std::array<std::string_view, 7> kPlainAnnotations{
    "io.kubernetes.container.hash",
    "io.kubernetes.container.restartCount",
    "io.kubernetes.container.terminationMessagePath",
    "io.kubernetes.container.terminationMessagePolicy",
    "io.kubernetes.pod.terminationGracePeriod",
    "kubernetes.io/config.seen",
    "kubernetes.io/config.source"};

bool IsOfName(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || c == '.';
}
bool IsQuote(char c) { return c == '"' || c == '\'' || c == '\\'; }
bool EndsValue(char c) {
  return static_cast<unsigned char>(c) <= ' ' || IsQuote(c) || c == ',' || c == ';' || c == '&' ||
         c == ')' || c == '}' || c == ']';
}

bool IsSecretName(std::string_view name) {
  constexpr size_t kLongestName = 128;
  if (name.size() > kLongestName) return false;
  const std::string lower = ToLower(name);
  return std::any_of(kSecretNames.begin(), kSecretNames.end(), [&](std::string_view secret) {
    return lower.find(secret) != std::string::npos;
  });
}
bool IsScheme(std::string_view word) {
  const std::string lower = ToLower(word);
  return lower == "bearer" || lower == "basic";
}

class Redaction {
 public:
  explicit Redaction(std::string_view text) : text_(text) { out_.reserve(text.size()); }

  std::string Run() {
    while (at_ < text_.size()) {
      if (!IsOfName(text_[at_])) {
        Url();
        continue;
      }
      const std::string_view word = Word();
      if (IsScheme(word)) {
        if (Take(' ') > 0) Hide();
      } else if (IsSecretName(word)) {
        AfterName(word);
      }
    }
    return std::move(out_);
  }

 private:
  std::string_view Word() {
    const size_t begin = at_;
    while (at_ < text_.size() && IsOfName(text_[at_])) ++at_;
    const std::string_view word = text_.substr(begin, at_ - begin);
    out_ += word;
    return word;
  }
  size_t Take(char c) {
    const size_t begin = at_;
    while (at_ < text_.size() && text_[at_] == c) out_ += text_[at_++];
    return at_ - begin;
  }
  void TakeQuotes() {
    while (at_ < text_.size() && IsQuote(text_[at_])) out_ += text_[at_++];
  }

  // `name=value`, `name: value`, `"name": "value"`, `--name value`.
  void AfterName(std::string_view name) {
    TakeQuotes();
    const size_t spaces = Take(' ');
    const bool assigned = at_ < text_.size() && (text_[at_] == '=' || text_[at_] == ':');
    if (!assigned) {
      if (name.starts_with("-") && spaces > 0) Hide();
      return;
    }
    out_ += text_[at_++];
    Take(' ');
    const bool quoted = at_ < text_.size() && (text_[at_] == '"' || text_[at_] == '\'');
    if (quoted) return HideQuoted();
    TakeQuotes();
    size_t end = at_;
    while (end < text_.size() && IsOfName(text_[end])) ++end;
    if (IsScheme(text_.substr(at_, end - at_))) return;  // the loop sees to what follows it
    Hide();
  }

  void Hide() {
    TakeQuotes();
    const size_t begin = at_;
    while (at_ < text_.size() && !EndsValue(text_[at_])) ++at_;
    if (at_ > begin) out_ += kHidden;
  }
  // All up to the quote that closes it, spaces too.
  void HideQuoted() {
    const char quote = text_[at_];
    out_ += text_[at_++];
    const size_t begin = at_;
    while (at_ < text_.size() && text_[at_] != quote && text_[at_] != '\n')
      at_ += text_[at_] == '\\' && at_ + 1 < text_.size() ? 2 : 1;
    if (at_ > begin) out_ += kHidden;
  }

  // One character; after "://" the password of "user:password@" as well.
  void Url() {
    if (text_.substr(at_, 3) != "://") {
      out_ += text_[at_++];
      return;
    }
    out_ += "://";
    at_ += 3;
    size_t colon = std::string_view::npos;
    size_t end = at_;
    for (; end < text_.size() && !EndsValue(text_[end]) && text_[end] != '/'; ++end) {
      if (text_[end] == ':' && colon == std::string_view::npos) colon = end;
      if (text_[end] == '@' && colon != std::string_view::npos) {
        out_ += text_.substr(at_, colon + 1 - at_);
        out_ += kHidden;
        at_ = end;
        return;
      }
    }
  }

  const std::string_view text_;
  size_t at_ = 0;
  std::string out_;
};

void RedactEnvironment(json* variables) {
  for (json& variable : *variables)
    if (variable.is_object() && variable.contains("value")) variable["value"] = kHidden;
}

void RedactAnnotations(json* annotations) {
  for (const auto& [name, value] : annotations->items()) {
    const bool plain = std::find(kPlainAnnotations.begin(), kPlainAnnotations.end(), name) !=
                       kPlainAnnotations.end();
    if (!plain) value = kHidden;
  }
}

// A flag's value may be the next word.
void RedactWords(json* words) {
  bool hide = false;
  for (json& word : *words) {
    if (!word.is_string()) continue;
    const std::string text = word.get<std::string>();
    const bool flag = text.starts_with("-") && text.find_first_of("= ") == std::string::npos;
    word = hide && !text.starts_with("-") ? std::string(kHidden) : RedactText(text);
    hide = flag && IsSecretName(text);
  }
}

}  // namespace

std::string RedactText(std::string_view text) { return Redaction(text).Run(); }

void RedactJson(json* value) {
  if (value->is_string()) {
    *value = RedactText(value->get<std::string>());
  } else if (value->is_array()) {
    for (json& item : *value) RedactJson(&item);
  } else if (value->is_object()) {
    for (const auto& [name, member] : value->items()) {
      if (name == "envs" && member.is_array()) {
        RedactEnvironment(&member);
      } else if (name == "annotations" && member.is_object()) {
        RedactAnnotations(&member);
      } else if ((name == "command" || name == "args" || name == "cmd") && member.is_array()) {
        RedactWords(&member);
      } else if (member.is_string() && (name == "auth" || IsSecretName(name))) {
        member = kHidden;
      } else {
        RedactJson(&member);
      }
    }
  }
}

}  // namespace catamaran
