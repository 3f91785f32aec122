#include "cri/images/testing/tar_builder.h"

#include <zlib.h>
#include <zstd.h>

#include <cstring>

namespace catamaran {
namespace {

// `size` - 1 digits and a NUL.
void Octal(char* field, size_t size, uint64_t value) {
  field[size - 1] = '\0';
  for (size_t i = size - 1; i-- > 0; value >>= 3) field[i] = static_cast<char>('0' + (value & 7));
}

std::string PaxRecord(const std::string& key, const std::string& value) {
  const size_t body = key.size() + value.size() + 3;  // space, '=', newline
  size_t length = body + 1;
  while (std::to_string(length).size() + body != length) ++length;
  return std::to_string(length) + " " + key + "=" + value + "\n";
}

}  // namespace

void TarBuilder::Pad() { bytes_.resize((bytes_.size() + 511) / 512 * 512); }

void TarBuilder::Header(const Entry& entry, char type, const std::string& name, uint64_t size) {
  char header[512] = {};
  strncpy(header, name.c_str(), 100);
  Octal(header + 100, 8, entry.mode);
  Octal(header + 108, 8, entry.uid & 07777777);
  Octal(header + 116, 8, entry.gid & 07777777);
  Octal(header + 124, 12, size);
  Octal(header + 136, 12, static_cast<uint64_t>(entry.mtime < 0 ? 0 : entry.mtime));
  header[156] = type;
  strncpy(header + 157, entry.link.c_str(), 100);
  memcpy(header + 257, "ustar\00000", 8);
  Octal(header + 329, 8, entry.major);
  Octal(header + 337, 8, entry.minor);
  memset(header + 148, ' ', 8);
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  Octal(header + 148, 7, sum);
  bytes_.append(header, sizeof(header));
}

TarBuilder& TarBuilder::Add(const Entry& entry) {
  auto pax = entry.pax;
  const auto has = [&](const std::string& key) {
    for (const auto& [name, value] : pax)
      if (name == key) return true;
    return false;
  };
  if (entry.name.size() > 100 && !has("path")) pax.emplace_back("path", entry.name);
  if (entry.link.size() > 100 && !has("linkpath")) pax.emplace_back("linkpath", entry.link);
  if (entry.uid > 07777777) pax.emplace_back("uid", std::to_string(entry.uid));
  if (entry.gid > 07777777) pax.emplace_back("gid", std::to_string(entry.gid));
  if (entry.mtime < 0 && !has("mtime")) pax.emplace_back("mtime", std::to_string(entry.mtime));
  if (!pax.empty()) {
    std::string body;
    for (const auto& [key, value] : pax) body += PaxRecord(key, value);
    Header(Entry{}, 'x', "pax", body.size());
    bytes_ += body;
    Pad();
  }
  Header(entry, entry.type, entry.name, entry.data.size());
  bytes_ += entry.data;
  Pad();
  return *this;
}

std::string Gzip(const std::string& plain) {
  z_stream stream = {};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, plain.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string Zstd(const std::string& plain) {
  std::string out(ZSTD_compressBound(plain.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), plain.data(), plain.size(), 3));
  return out;
}

}  // namespace catamaran
