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

}  // namespace

Result<TarIndex> TarIndex::Read(int fd, uint64_t file_size, Deadline deadline) {
  TarIndex index;
  Extensions extensions;
  size_t count = 0;
  for (uint64_t offset = 0; offset + kRecord <= file_size;) {
    if (deadline.expired()) return Fail(ErrorCode::kDeadlineExceeded, "read the archive's index");
    char header[kRecord];
    RETURN_IF_ERROR(erofs::ReadExactly(fd, header, kRecord, offset));
    if (header[0] == '\0' &&
        std::string_view(header, kRecord).find_first_not_of('\0') == std::string_view::npos)
      break;
    if (!ChecksumFits(header)) return Malformed("a header", offset);
    if (++count > kMaximumEntries)
      return Fail(ErrorCode::kResourceExhausted, "the archive has more than {} entries",
                  kMaximumEntries);
    const char type = header[156];
    const bool extension = type == 'x' || type == 'L' || type == 'K' || type == 'g';
    auto size = Number(header + 124, 12);
    if (!extension && extensions.size) size = extensions.size;
    const bool has_data = type == '0' || type == '\0' || type == '7' || extension;
    if (!size) return Malformed("a size", offset);
    if (!has_data) size = 0;
    const uint64_t data = offset + kRecord;
    if (*size > file_size - data) return Malformed("a file that is cut off", offset);
    offset = data + (*size + kRecord - 1) / kRecord * kRecord;

    if (extension) {
      if (type == 'g') continue;
      if (*size > kMaximumExtension) return Malformed("a header that is too long", data);
      std::string body(*size, '\0');
      RETURN_IF_ERROR(erofs::ReadExactly(fd, body.data(), body.size(), data));
      if (type == 'x') RETURN_IF_ERROR(ReadPax(body, data, extensions));
      if (type == 'L') extensions.path = Text(body.data(), body.size());
      if (type == 'K') extensions.link = Text(body.data(), body.size());
      continue;
    }
    std::string raw = std::move(extensions.path);
    if (raw.empty()) {
      const std::string_view prefix =
          std::string_view(header + 257, 6) == std::string_view("ustar\0", 6)
              ? Text(header + 345, 155)
              : std::string_view();
      raw = std::string(prefix) + (prefix.empty() ? "" : "/") + std::string(Text(header, 100));
    }
    const std::string name = CleanName("", raw);
    Entry entry{data, *size, ""};
    const bool is_link = type == '1' || type == '2';
    if (is_link) {
      const std::string target =
          extensions.link.empty() ? std::string(Text(header + 157, 100)) : extensions.link;
      const auto slash = name.rfind('/');
      const std::string directory = slash == std::string::npos ? "" : name.substr(0, slash);
      entry.link = CleanName(type == '2' ? directory : "", target);
    }
    extensions = Extensions{};
    const bool wanted = is_link ? !entry.link.empty() : has_data && !raw.ends_with('/');
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
