#include "cri/images/reference.h"

#include <algorithm>

#include "cri/base/text.h"

namespace catamaran {
namespace {

constexpr size_t kMaximumNameLength = 255;  // repository without its host, distribution-spec
constexpr size_t kMaximumTagLength = 128;
constexpr size_t kMaximumTextLength = 1024;

bool IsLowerHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsUpper(char c) { return c >= 'A' && c <= 'Z'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsNameCharacter(char c) { return IsLower(c) || IsDigit(c); }

// [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*
bool IsNameComponent(std::string_view text) {
  if (text.empty() || !IsNameCharacter(text.front()) || !IsNameCharacter(text.back())) return false;
  for (size_t i = 0; i < text.size();) {
    if (IsNameCharacter(text[i])) {
      ++i;
      continue;
    }
    const char separator = text[i];
    size_t run = 0;
    while (i < text.size() && text[i] == separator) ++run, ++i;
    const bool allowed =
        (separator == '.' && run == 1) || (separator == '_' && run <= 2) || separator == '-';
    if (!allowed || !IsNameCharacter(text[i])) return false;
  }
  return true;
}

bool IsTag(std::string_view text) {
  if (text.empty() || text.size() > kMaximumTagLength || text[0] == '.' || text[0] == '-')
    return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return IsLower(c) || IsUpper(c) || IsDigit(c) || c == '_' || c == '.' || c == '-';
  });
}

// A host name, IPv4 or [IPv6] address, and an optional port.
bool IsHost(std::string_view text) {
  std::string_view name = text;
  std::string_view port;
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == std::string_view::npos) return false;
    const std::string_view address = text.substr(1, end - 1);
    if (address.empty() || !std::all_of(address.begin(), address.end(), [](char c) {
          return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':';
        }))
      return false;
    if (end + 1 == text.size()) return true;
    if (text[end + 1] != ':') return false;
    port = text.substr(end + 2);
    return !port.empty() && port.size() <= 5 && std::all_of(port.begin(), port.end(), IsDigit);
  }
  if (const auto colon = text.find(':'); colon != std::string_view::npos) {
    name = text.substr(0, colon);
    port = text.substr(colon + 1);
    if (port.empty() || port.size() > 5 || !std::all_of(port.begin(), port.end(), IsDigit))
      return false;
  }
  if (name.empty() || name.size() > 253) return false;
  char previous = '.';
  for (const char c : name) {
    const bool alphanumeric = IsLower(c) || IsUpper(c) || IsDigit(c);
    if (!alphanumeric && c != '-' && c != '.') return false;
    if (c == '.' && (previous == '.' || previous == '-')) return false;
    if (c == '-' && previous == '.') return false;
    previous = c;
  }
  return previous != '.' && previous != '-';
}

bool LooksLikeHost(std::string_view component) {
  return component == "localhost" || component.find_first_of(".:") != std::string_view::npos ||
         std::any_of(component.begin(), component.end(), IsUpper);
}

tl::unexpected<Error> Malformed(std::string_view text, std::string_view why) {
  return Fail(ErrorCode::kInvalidArgument,
              "image reference \"{}\": {} (expected [HOST[:PORT]/]NAME[:TAG][@DIGEST])",
              text.substr(0, 200), why);
}

// Splits "host/path" and fills in docker.io and library/.
Result<std::string> CanonicalRepository(std::string_view text, std::string_view name) {
  std::string host = "docker.io";
  std::string_view path = name;
  if (const auto slash = name.find('/'); slash != std::string_view::npos) {
    const std::string_view first = name.substr(0, slash);
    if (LooksLikeHost(first)) {
      if (!IsHost(first)) return Malformed(text, "the host is not a host name");
      // As names are compared in the DNS: one registry is not two. What only its case makes a host
      // stays, or it would be a folder of Docker Hub.
      host = ToLower(first);
      if (!LooksLikeHost(host)) host = first;
      path = name.substr(slash + 1);
    }
  }
  if (path.empty()) return Malformed(text, "the name is empty");
  for (std::string_view rest = path;;) {
    const auto slash = rest.find('/');
    if (!IsNameComponent(rest.substr(0, slash)))
      return Malformed(text,
                       "a part of the name is not lower-case letters and digits joined by "
                       "one '.', one or two '_' or dashes");
    if (slash == std::string_view::npos) break;
    rest.remove_prefix(slash + 1);
  }
  if (host == "index.docker.io" || host == "registry-1.docker.io") host = "docker.io";
  const bool official = host == "docker.io" && path.find('/') == std::string_view::npos;
  const std::string full = (official ? "library/" : "") + std::string(path);
  if (full.size() > kMaximumNameLength) return Malformed(text, "the name is longer than 255");
  return host + "/" + full;
}

}  // namespace

bool IsDigest(std::string_view text) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos) return false;
  const std::string_view algorithm = text.substr(0, colon);
  const std::string_view hex = text.substr(colon + 1);
  const size_t length = algorithm == "sha256" ? 64 : algorithm == "sha512" ? 128 : 0;
  return length != 0 && hex.size() == length && IsLowerHex(hex);
}

std::string DigestHex(std::string_view digest) {
  return std::string(digest.substr(digest.find(':') + 1));
}

std::string ImageReference::ToString() const {
  return digest.empty() ? repository + ":" + tag : repository + "@" + digest;
}

Result<ImageReference> ParseImageReference(std::string_view text) {
  if (text.empty()) return Malformed(text, "it is empty");
  if (text.size() > kMaximumTextLength) return Malformed(text, "it is longer than 1024 bytes");
  if (ParseImageId(text)) return Malformed(text, "it is the id of an image, which is no name");
  ImageReference reference;
  std::string_view name = text;
  if (const auto at = name.find('@'); at != std::string_view::npos) {
    reference.digest = name.substr(at + 1);
    if (!IsDigest(reference.digest))
      return Malformed(text,
                       "the digest is not sha256: or sha512: and lower-case hex of its length");
    name = name.substr(0, at);
  }
  const auto slash = name.rfind('/');
  const auto colon = name.find(':', slash == std::string_view::npos ? 0 : slash);
  if (colon != std::string_view::npos) {
    reference.tag = name.substr(colon + 1);
    if (!IsTag(reference.tag))
      return Malformed(text, "the tag is not 1 to 128 of letters, digits, '_', '.' and '-'");
    name = name.substr(0, colon);
  }
  ASSIGN_OR_RETURN(reference.repository, CanonicalRepository(text, name));
  if (!reference.digest.empty()) reference.tag.clear();
  if (reference.digest.empty() && reference.tag.empty()) reference.tag = "latest";
  return reference;
}

std::optional<std::string> ParseImageId(std::string_view text) {
  if (text.starts_with("sha256:")) text.remove_prefix(7);
  if (text.size() != 64 || !IsLowerHex(text)) return std::nullopt;
  return "sha256:" + std::string(text);
}

}  // namespace catamaran
