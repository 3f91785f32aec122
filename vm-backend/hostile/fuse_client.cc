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
       std::string(body));
  while (true) {
    fuse_out_header header{};
    if (!ReadExactly(reinterpret_cast<char*>(&header), sizeof header) ||
        header.len < sizeof header || header.len > (2u << 20))
      return {ETIMEDOUT, ""};
    Reply reply{-header.error, std::string(header.len - sizeof header, '\0')};
    if (!ReadExactly(reply.body.data(), reply.body.size())) return {ETIMEDOUT, ""};
    if (header.unique == unique) return reply;
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

bool FuseClient::ReadExactly(char* to, size_t size) {
  while (size > 0) {
    pollfd readable{port_, POLLIN, 0};
    if (poll(&readable, 1, kPatienceMs) <= 0) return false;
    const ssize_t count = read(port_, to, size);
    if (count <= 0) return false;
    to += count;
    size -= static_cast<size_t>(count);
  }
  return true;
}

}  // namespace catamaran
