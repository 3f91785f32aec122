#include "cri/cdi/yaml_json.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <charconv>
#include <optional>
#include <sstream>
#include <vector>

namespace catamaran {
namespace {

using Json = nlohmann::json;

constexpr size_t kDeepest = 32;
constexpr size_t kMostValues = 100'000;

std::optional<int64_t> Integer(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  int base = 10;
  if (text.starts_with("0x")) {
    base = 16;
    text.remove_prefix(2);
  } else if (text.starts_with("0o")) {
    base = 8;
    text.remove_prefix(2);
  } else if (text.size() > 1 && text.front() == '0') {
    base = 8;  // YAML 1.1, which is how file modes are written
    text.remove_prefix(1);
  }
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || text.front() == '-' || error != std::errc() ||
      end != text.data() + text.size())
    return std::nullopt;
  return negative ? -value : value;
}

Json Plain(const std::string& text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL")
    return nullptr;
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  if (const auto number = Integer(text)) {
    if (*number >= 0) return static_cast<uint64_t>(*number);
    return *number;
  }
  return text;
}

// Builds the value while the parser goes over the text. What it refuses it remembers, and takes
// nothing more: the parser itself cannot be told to stop but by an exception.
class Builder final : public YAML::EventHandler {
 public:
  struct Refusal {
    int line;
    std::string reason;
  };

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Add(mark, anchor, "", nullptr);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { Refuse(mark, "an alias"); }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    // "?" is a plain scalar, "!" a quoted one.
    Add(mark, anchor, tag == "?" || tag == "!" ? "" : tag, tag == "?" ? Plain(value) : Json(value),
        value);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(mark, anchor, tag, Json::array());
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(mark, anchor, tag, Json::object());
  }
  void OnMapEnd() override { Close(); }

  Json& root() { return root_; }
  const std::optional<Refusal>& refusal() const { return refusal_; }

 private:
  struct Level {
    Json value;
    std::optional<std::string> key;  // a mapping's, read and without its value yet
  };

  void Refuse(const YAML::Mark& mark, std::string reason) {
    if (!refusal_) refusal_ = Refusal{mark.line + 1, std::move(reason)};
    throw YAML::ParserException(mark, "refused");
  }
  void Check(const YAML::Mark& mark, YAML::anchor_t anchor, const std::string& tag) {
    if (anchor != 0) Refuse(mark, "an anchor");
    if (!tag.empty() && tag != "?" && tag != "!") Refuse(mark, "a tag");
    if (++values_ > kMostValues) Refuse(mark, "too many values");
  }
  void Add(const YAML::Mark& mark, YAML::anchor_t anchor, const std::string& tag, Json value,
           const std::string& text = "") {
    Check(mark, anchor, tag);
    const bool is_key = !levels_.empty() && levels_.back().value.is_object() && !levels_.back().key;
    if (!is_key) return Put(std::move(value));
    if (levels_.back().value.contains(text)) Refuse(mark, "the key " + text + " is there twice");
    levels_.back().key = text;
  }
  void Open(const YAML::Mark& mark, YAML::anchor_t anchor, const std::string& tag, Json value) {
    Check(mark, anchor, tag);
    if (!levels_.empty() && levels_.back().value.is_object() && !levels_.back().key)
      Refuse(mark, "a key that is not a text");
    if (levels_.size() >= kDeepest) Refuse(mark, "nested too deeply");
    levels_.push_back({std::move(value), std::nullopt});
  }
  void Close() {
    Json value = std::move(levels_.back().value);
    levels_.pop_back();
    Put(std::move(value));
  }
  void Put(Json value) {
    if (levels_.empty()) {
      root_ = std::move(value);
    } else if (levels_.back().value.is_array()) {
      levels_.back().value.push_back(std::move(value));
    } else {
      levels_.back().value[*levels_.back().key] = std::move(value);
      levels_.back().key.reset();
    }
  }

  Json root_;
  std::vector<Level> levels_;
  size_t values_ = 0;
  std::optional<Refusal> refusal_;
};

}  // namespace

Result<Json> ParseYamlAsJson(std::string_view text, const std::string& file_name) {
  Builder builder;
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    if (!parser.HandleNextDocument(builder)) return Json(nullptr);
    Builder second;
    if (parser.HandleNextDocument(second))
      return Fail(ErrorCode::kInvalidArgument, "{}: a second document: there must be one",
                  file_name);
  } catch (const YAML::Exception& error) {
    if (builder.refusal())
      return Fail(ErrorCode::kInvalidArgument, "{}:{}: {}: not in a CDI file", file_name,
                  builder.refusal()->line, builder.refusal()->reason);
    return Fail(ErrorCode::kInvalidArgument, "{}:{}: not YAML: {}", file_name, error.mark.line + 1,
                error.msg);
  }
  return std::move(builder.root());
}

}  // namespace catamaran
