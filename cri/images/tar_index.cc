#include "cri/images/tar_index.h"

#include <charconv>
#include <optional>
#include <string_view>

#include "cri/images/erofs/output.h"

namespace catamaran {
namespace {

constexpr uint64_t kRecord = 512;
constexpr size_t kMaximumEntries = 1'000'000;
constexpr uint64_t kMaximumExtension = 1 << 20;  // a long name or a pax header

tl::unexpected<Error> Malformed(std::string_view what, uint64_t offset) {
  return Fail(ErrorCode::kInvalidArgument, "the archive is no valid tar: {} at byte {}", what,
              offset);
}

// A cleaned name; empty where ".." would be needed to say it.
std::string CleanName(std::string_view directory, std::string_view name) {
  std::vector<std::string_view> parts;
  const auto add = [&](std::string_view path) {
    while (!path.empty()) {
      const auto slash = path.find('/');
      const std::string_view part = path.substr(0, slash);
      path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
      if (part.empty() || part == ".") continue;
      if (part != "..") {
        parts.push_back(part);
        continue;
      }
      if (parts.empty()) return false;
      parts.pop_back();
    }
    return true;
  };
  if (!name.starts_with('/') && !add(directory)) return "";
  if (!add(name)) return "";
  std::string clean;
  for (const auto part : parts) clean.append(clean.empty() ? "" : "/").append(part);
  return clean;
}

std::string_view Text(const char* field, size_t size) { return {field, strnlen(field, size)}; }

// Octal digits, or base 256 with the first bit set (GNU).
std::optional<uint64_t> Number(const char* field, size_t size) {
  if ((field[0] & 0x80) != 0) {
    uint64_t value = static_cast<unsigned char>(field[0]) & 0x3f;
    if ((field[0] & 0x40) != 0) return std::nullopt;  // negative
    for (size_t i = 1; i < size; ++i) {
      if (value >> 55 != 0) return std::nullopt;
      value = value << 8 | static_cast<unsigned char>(field[i]);
    }
    return value;
  }
  uint64_t value = 0;
  bool any = false;
  for (size_t i = 0; i < size && field[i] != '\0'; ++i) {
    if (field[i] == ' ') {
      if (any) break;
      continue;
    }
    if (field[i] < '0' || field[i] > '7' || value >> 60 != 0) return std::nullopt;
    value = value * 8 + static_cast<uint64_t>(field[i] - '0');
    any = true;
  }
  return value;
}

bool ChecksumFits(const char* header) {
  uint64_t sum = 0;
  for (size_t i = 0; i < kRecord; ++i)
    sum += i >= 148 && i < 156 ? ' ' : static_cast<unsigned char>(header[i]);
  const auto stored = Number(header + 148, 8);
  return stored && *stored == sum;
}

// What headers before an entry say about it.
struct Extensions {
  std::string path;
  std::string link;
  std::optional<uint64_t> size;
};

// "<length> <key>=<value>\n" records.
Status ReadPax(std::string_view body, uint64_t offset, Extensions& extensions) {
  while (!body.empty()) {
    size_t length = 0;
    const auto [end, error] = std::from_chars(body.data(), body.data() + body.size(), length);
    const auto digits = static_cast<size_t>(end - body.data());
    if (error != std::errc() || length > body.size() || length < digits + 3 ||
        body[digits] != ' ' || body[length - 1] != '\n')
      return Malformed("a pax record", offset);
    const std::string_view record = body.substr(digits + 1, length - digits - 2);
    body.remove_prefix(length);
    const auto equals = record.find('=');
    if (equals == std::string_view::npos) return Malformed("a pax record", offset);
    const std::string_view key = record.substr(0, equals);
    const std::string_view value = record.substr(equals + 1);
    if (key == "path") extensions.path = value;
    if (key == "linkpath") extensions.link = value;
    if (key == "size") {
      uint64_t size = 0;
      const auto parsed = std::from_chars(value.data(), value.data() + value.size(), size);
      if (parsed.ec != std::errc() || parsed.ptr != value.data() + value.size())
        return Malformed("a pax size", offset);
      extensions.size = size;
    }
  }
  return {};
}

// A header with what it and the extensions before it say.
struct Header {
  char bytes[kRecord];
  char type = 0;
  uint64_t data = 0;  // offset of its data
  uint64_t size = 0;

  bool IsExtension() const { return type == 'x' || type == 'L' || type == 'K' || type == 'g'; }
  bool IsLink() const { return type == '1' || type == '2'; }
  bool HasData() const { return type == '0' || type == '\0' || type == '7' || IsExtension(); }
};

// False at the end mark.
Result<bool> ReadHeader(int fd, uint64_t offset, uint64_t file_size, const Extensions& extensions,
                        Header& header) {
  RETURN_IF_ERROR(erofs::ReadExactly(fd, header.bytes, kRecord, offset));
  if (std::string_view(header.bytes, kRecord).find_first_not_of('\0') == std::string_view::npos)
    return false;
  if (!ChecksumFits(header.bytes)) return Malformed("a header", offset);
  header.type = header.bytes[156];
  header.data = offset + kRecord;
  auto size = Number(header.bytes + 124, 12);
  if (!header.IsExtension() && extensions.size) size = extensions.size;
  if (!size) return Malformed("a size", offset);
  header.size = header.HasData() ? *size : 0;
  if (header.size > file_size - header.data) return Malformed("a file that is cut off", offset);
  return true;
}

Status ReadExtension(int fd, const Header& header, Extensions& extensions) {
  if (header.type == 'g') return {};
  if (header.size > kMaximumExtension) return Malformed("a header that is too long", header.data);
  std::string body(header.size, '\0');
  RETURN_IF_ERROR(erofs::ReadExactly(fd, body.data(), body.size(), header.data));
  if (header.type == 'x') return ReadPax(body, header.data, extensions);
  (header.type == 'L' ? extensions.path : extensions.link) = Text(body.data(), body.size());
  return {};
}

std::string RawName(const Header& header, const Extensions& extensions) {
  if (!extensions.path.empty()) return extensions.path;
  const bool ustar = std::string_view(header.bytes + 257, 6) == std::string_view("ustar\0", 6);
  const std::string prefix(ustar ? Text(header.bytes + 345, 155) : std::string_view());
  return prefix + (prefix.empty() ? "" : "/") + std::string(Text(header.bytes, 100));
}

// What a link leads to; empty where that is outside.
std::string LinkTarget(const Header& header, const Extensions& extensions,
                       const std::string& name) {
  const std::string target =
      extensions.link.empty() ? std::string(Text(header.bytes + 157, 100)) : extensions.link;
  const auto slash = name.rfind('/');
  const bool relative = header.type == '2' && slash != std::string::npos;
  return CleanName(relative ? name.substr(0, slash) : "", target);
}

}  // namespace

Result<TarIndex> TarIndex::Read(int fd, uint64_t file_size, Deadline deadline) {
  TarIndex index;
  Extensions extensions;
  size_t count = 0;
  for (uint64_t offset = 0; offset + kRecord <= file_size;) {
    if (deadline.expired()) return Fail(ErrorCode::kDeadlineExceeded, "read the archive's index");
    Header header;
    ASSIGN_OR_RETURN(const bool more, ReadHeader(fd, offset, file_size, extensions, header));
    if (!more) break;
    if (++count > kMaximumEntries)
      return Fail(ErrorCode::kResourceExhausted, "the archive has more than {} entries",
                  kMaximumEntries);
    offset = header.data + (header.size + kRecord - 1) / kRecord * kRecord;
    if (header.IsExtension()) {
      RETURN_IF_ERROR(ReadExtension(fd, header, extensions));
      continue;
    }
    const std::string raw = RawName(header, extensions);
    const std::string name = CleanName("", raw);
    Entry entry{header.data, header.size, ""};
    if (header.IsLink()) entry.link = LinkTarget(header, extensions, name);
    extensions = Extensions{};
    const bool wanted =
        header.IsLink() ? !entry.link.empty() : header.HasData() && !raw.ends_with('/');
    if (!name.empty() && wanted) index.entries_[name] = std::move(entry);
  }
  if (count == 0) return Malformed("no entry", 0);
  return index;
}

const TarIndex::Entry* TarIndex::Find(const std::string& name) const {
  constexpr int kMaximumLinks = 10;
  std::string wanted = CleanName("", name);
  for (int links = 0; links <= kMaximumLinks; ++links) {
    const auto found = entries_.find(wanted);
    if (found == entries_.end()) return nullptr;
    if (found->second.link.empty()) return &found->second;
    wanted = found->second.link;
  }
  return nullptr;
}

}  // namespace catamaran
