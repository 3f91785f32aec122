#include "vm-backend/hostile/fuse_client.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace catamaran {
namespace {

constexpr int kPatienceMs = 20'000;

}  // namespace

std::string FuseClient::Reply::Text() const { return error == 0 ? "ok" : std::to_string(error); }

uint64_t FuseClient::Reply::node() const {
  fuse_entry_out entry{};
  if (error == 0 && body.size() >= sizeof entry) memcpy(&entry, body.data(), sizeof entry);
  return entry.nodeid;
}

std::string FuseClient::Header(uint32_t length, uint32_t opcode, uint64_t node, uint64_t unique) {
  fuse_in_header header{};
  header.len = length;
  header.opcode = opcode;
  header.unique = unique;
  header.nodeid = node;
  return Bytes(header);
}

FuseClient::Reply FuseClient::Init() {
  constexpr uint64_t kSession = 77;
  Send(framing_.MarkBytes(VolumeFraming::Mark::kBegin, kSession));
  while (true) {
    const auto item = Next();
    if (!item) return {ETIMEDOUT, ""};
    if (item->message.empty() && item->session == kSession) break;
  }
  reader_.Found();
  fuse_init_in init{};
  init.major = FUSE_KERNEL_VERSION;
  init.minor = FUSE_KERNEL_MINOR_VERSION;
  init.max_readahead = 1 << 20;
  init.flags = FUSE_BIG_WRITES | FUSE_DO_READDIRPLUS;
  return Ask(FUSE_INIT, 0, Bytes(init));
}

FuseClient::Reply FuseClient::Ask(uint32_t opcode, uint64_t node, std::string_view body) {
  const uint64_t unique = unique_;
  unique_ += 2;
  Send(Header(static_cast<uint32_t>(sizeof(fuse_in_header) + body.size()), opcode, node, unique) +
       std::string(body).append(seal()));
  while (true) {
    const auto item = Next();
    if (!item) return {ETIMEDOUT, ""};
    if (item->message.empty()) continue;
    fuse_out_header header{};
    memcpy(&header, item->message.data(), sizeof header);
    if (header.unique != unique) continue;
    const auto body_bytes = item->message.subspan(sizeof header);
    return {-header.error,
            std::string(reinterpret_cast<const char*>(body_bytes.data()), body_bytes.size())};
  }
}

FuseClient::Reply FuseClient::Lookup(uint64_t folder, std::string_view name) {
  return Ask(FUSE_LOOKUP, folder, std::string(name) + '\0');
}

std::string FuseClient::ReadFile(uint64_t node) {
  fuse_open_in open{};
  open.flags = O_RDONLY;
  const Reply opened = Ask(FUSE_OPEN, node, Bytes(open));
  if (opened.error != 0 || opened.body.size() < sizeof(fuse_open_out)) return "";
  fuse_open_out handle;
  memcpy(&handle, opened.body.data(), sizeof handle);
  fuse_read_in read{};
  read.fh = handle.fh;
  read.size = 4096;
  const Reply content = Ask(FUSE_READ, node, Bytes(read));
  fuse_release_in release{};
  release.fh = handle.fh;
  Ask(FUSE_RELEASE, node, Bytes(release));
  return content.body;
}

void FuseClient::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(port_, bytes.data(), bytes.size());
    if (count > 0) {
      bytes.remove_prefix(static_cast<size_t>(count));
      continue;
    }
    pollfd writable{port_, POLLOUT, 0};
    if (poll(&writable, 1, kPatienceMs) <= 0 || (writable.revents & POLLHUP) != 0) return;
  }
}

std::optional<VolumeFrameReader::Item> FuseClient::Next() {
  while (true) {
    if (auto item = reader_.Next()) return item;
    pollfd readable{port_, POLLIN, 0};
    if (poll(&readable, 1, kPatienceMs) <= 0) return std::nullopt;
    std::byte piece[16 << 10];
    const ssize_t count = read(port_, piece, sizeof piece);
    if (count <= 0) return std::nullopt;
    reader_.Append(std::span(piece).first(static_cast<size_t>(count)));
  }
}

}  // namespace catamaran
