#include "cri/registry/challenge.h"

#include "cri/base/text.h"

namespace catamaran {
namespace {

constexpr size_t kMaximumChallenges = 16;
constexpr size_t kMaximumParameters = 32;

bool IsTokenCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  bool AtEnd() const { return rest_.empty(); }
  void SkipBlanks() {
    while (!rest_.empty() && (rest_[0] == ' ' || rest_[0] == '\t')) rest_.remove_prefix(1);
  }
  void SkipBlanksAndCommas() {
    while (!rest_.empty() && (rest_[0] == ' ' || rest_[0] == '\t' || rest_[0] == ','))
      rest_.remove_prefix(1);
  }
  bool Skip(char c) {
    if (rest_.empty() || rest_[0] != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  std::string_view Token() {
    size_t end = 0;
    while (end < rest_.size() && IsTokenCharacter(rest_[end])) ++end;
    const std::string_view token = rest_.substr(0, end);
    rest_.remove_prefix(end);
    return token;
  }
  // After the opening quote; false where no closing one follows.
  bool Quoted(std::string& value) {
    while (!rest_.empty()) {
      char c = rest_[0];
      rest_.remove_prefix(1);
      if (c == '"') return true;
      if (c == '\\') {
        if (rest_.empty()) return false;
        c = rest_[0];
        rest_.remove_prefix(1);
      }
      value += c;
    }
    return false;
  }

 private:
  std::string_view rest_;
};

}  // namespace

std::string Challenge::Parameter(std::string_view name) const {
  for (const auto& [known, value] : parameters)
    if (known == name) return value;
  return "";
}

std::vector<Challenge> ParseChallenges(std::string_view header) {
  std::vector<Challenge> challenges;
  Scanner scanner(header);
  for (;;) {
    scanner.SkipBlanksAndCommas();
    const std::string word = ToLower(scanner.Token());
    if (word.empty()) return challenges;
    scanner.SkipBlanks();
    if (!scanner.Skip('=')) {  // a scheme; a parameter has a value
      if (challenges.size() == kMaximumChallenges) return challenges;
      challenges.push_back({word, {}});
      continue;
    }
    scanner.SkipBlanks();
    std::string value;
    if (scanner.Skip('"')) {
      if (!scanner.Quoted(value)) return challenges;
    } else {
      value = scanner.Token();
    }
    if (challenges.empty() || challenges.back().parameters.size() == kMaximumParameters)
      return challenges;
    challenges.back().parameters.emplace_back(word, std::move(value));
  }
}

}  // namespace catamaran
