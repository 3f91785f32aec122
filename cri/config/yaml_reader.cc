#include "cri/config/yaml_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <yaml-cpp/eventhandler.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <set>
#include <sstream>

namespace catamaran {
namespace {

constexpr size_t kLongestQuoted = 200;

std::string Quoted(const YAML::Node& node) {
  switch (node.Type()) {
    case YAML::NodeType::Map:
      return "a mapping";
    case YAML::NodeType::Sequence:
      return "a sequence";
    case YAML::NodeType::Scalar:
      return "'" + node.Scalar().substr(0, kLongestQuoted) + "'";
    default:
      return "nothing";
  }
}

// Counts documents; what is in them does not matter.
class DocumentCounter final : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark& mark) override { line = mark.line + 1; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}

  int line = 1;  // of the document begun last
};

// The line where a second document begins; 0 where there is none. YAML::LoadAll would never return
// for some malformed texts: its parser stays where it is (", a").
int LineOfSecondDocument(const std::string& text) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  DocumentCounter counter;
  if (!parser.HandleNextDocument(counter)) return 0;
  return parser.HandleNextDocument(counter) ? counter.line : 0;
}

bool ParseUnsigned(std::string_view text, uint64_t* out) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

Status YamlValue::ReadDocument(std::string_view text, const std::string& file_name,
                               const std::vector<Key>& keys, UnknownKeys unknown) {
  try {
    const std::string copy(text);
    if (const int line = LineOfSecondDocument(copy); line != 0) {
      return Fail(ErrorCode::kInvalidArgument, "{}:{}: a second document: there must be one",
                  file_name, line);
    }
    const YAML::Node document = YAML::Load(copy);
    return YamlValue(document, "", &file_name, document.Mark().line + 1).ReadMapping(keys, unknown);
  } catch (const YAML::Exception& error) {
    return Fail(ErrorCode::kInvalidArgument, "{}:{}: not YAML: {}", file_name, error.mark.line + 1,
                error.msg);
  }
}

Status YamlValue::ReadScalar(const std::string& value, const std::string& source,
                             const std::function<Status(const YamlValue&)>& read) {
  return read(YamlValue(YAML::Node(value), "", &source, 0));
}

Status YamlValue::ReadMapping(const std::vector<Key>& keys, UnknownKeys unknown) const {
  if (!node_.IsDefined() || node_.IsNull()) return {};
  if (!node_.IsMap()) return Wrong("a mapping of keys to values");
  std::set<std::string> seen;
  for (const auto& entry : node_) {
    const int line = entry.first.Mark().line + 1;
    const std::string name = entry.first.IsScalar() ? entry.first.Scalar() : "";
    const std::string path = path_.empty() ? name : path_ + "." + name;
    auto key = std::find_if(keys.begin(), keys.end(), [&](const Key& k) { return k.name == name; });
    if (key == keys.end() && unknown == UnknownKeys::kIgnore) continue;
    if (key == keys.end()) {
      std::vector<std::string_view> names;
      for (const Key& known : keys) names.push_back(known.name);
      return Fail(ErrorCode::kInvalidArgument, "{}:{}: {}: unknown key; known are {}", *file_name_,
                  line, path.empty() ? Quoted(entry.first) : path.substr(0, kLongestQuoted),
                  fmt::join(names, ", "));
    }
    if (!seen.insert(name).second) {
      return Fail(ErrorCode::kInvalidArgument, "{}:{}: {}: the key is there twice", *file_name_,
                  line, path);
    }
    RETURN_IF_ERROR(key->read(YamlValue(entry.second, path, file_name_, line)));
  }
  return {};
}

Status YamlValue::ReadSequence(const std::function<Status(const YamlValue&)>& read_item) const {
  if (!node_.IsSequence()) return Wrong("a sequence");
  size_t index = 0;
  for (const auto& item : node_) {
    RETURN_IF_ERROR(read_item(
        YamlValue(item, fmt::format("{}[{}]", path_, index++), file_name_, item.Mark().line + 1)));
  }
  return {};
}

Result<std::string> YamlValue::Scalar() const {
  if (!node_.IsScalar()) return Wrong("a single value");
  const std::string& text = node_.Scalar();
  if (text.find('\0') != std::string::npos) return Wrong("a text without NUL bytes");
  return text;
}

Status YamlValue::Read(std::string* out) const {
  ASSIGN_OR_RETURN(const std::string text, Scalar());
  *out = text;
  return {};
}

Status YamlValue::Read(bool* out) const {
  ASSIGN_OR_RETURN(auto index, (ReadWord({"false", "off", "true", "on"})));
  *out = index >= 2;
  return {};
}

Status YamlValue::Read(uint32_t* out, uint32_t least, uint32_t most) const {
  ASSIGN_OR_RETURN(const std::string text, Scalar());
  uint64_t value = 0;
  if (!ParseUnsigned(text, &value) || value < least || value > most) {
    return Wrong(fmt::format("a number from {} to {}", least, most));
  }
  *out = static_cast<uint32_t>(value);
  return {};
}

Status YamlValue::ReadSize(uint64_t* out_bytes) const {
  ASSIGN_OR_RETURN(const std::string scalar, Scalar());
  std::string_view text = scalar;
  int shift = 0;
  constexpr std::pair<std::string_view, int> kSuffixes[] = {{"Ki", 10}, {"Mi", 20}, {"Gi", 30}};
  for (const auto& [suffix, bits] : kSuffixes) {
    if (text.ends_with(suffix)) {
      shift = bits;
      text.remove_suffix(suffix.size());
      break;
    }
  }
  uint64_t value = 0;
  if (!ParseUnsigned(text, &value) || value > (uint64_t{1} << 50 >> shift)) {
    return Wrong("a number of bytes, or with Ki, Mi or Gi: 256Mi");
  }
  *out_bytes = value << shift;
  return {};
}

Status YamlValue::ReadAbsolutePath(std::string* out) const {
  ASSIGN_OR_RETURN(const std::string text, Scalar());
  const std::filesystem::path path(text);
  bool dots = false;
  for (const auto& part : path) dots = dots || part == ".." || part == ".";
  if (!path.is_absolute() || dots) return Wrong("an absolute path without . and ..");
  *out = path.lexically_normal().string();
  if (out->size() > 1 && out->back() == '/') out->pop_back();
  return {};
}

Status YamlValue::ReadAbsolutePath(HostPath* out) const {
  std::string path;
  RETURN_IF_ERROR(ReadAbsolutePath(&path));
  *out = HostPath(path);
  return {};
}

Result<size_t> YamlValue::ReadWord(const std::vector<std::string_view>& words) const {
  ASSIGN_OR_RETURN(const std::string text, Scalar());
  auto found = std::find(words.begin(), words.end(), text);
  if (found == words.end()) return Wrong(fmt::format("one of {}", fmt::join(words, ", ")));
  return static_cast<size_t>(found - words.begin());
}

tl::unexpected<Error> YamlValue::Wrong(std::string_view what_would_be_right) const {
  const std::string where = line_ == 0 ? *file_name_ : fmt::format("{}:{}", *file_name_, line_);
  const std::string what = path_.empty() ? "" : path_ + ": ";
  return Fail(ErrorCode::kInvalidArgument, "{}: {}{} is wrong: must be {}", where, what,
              Quoted(node_), what_would_be_right);
}

}  // namespace catamaran
