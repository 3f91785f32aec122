#include "vm-backend/hostile/channel_attacks.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <optional>

#include "sandbox/backend/pod_protocol.pb.h"
#include "sandbox/base/deadline.h"
#include "sandbox/base/files.h"
#include "sandbox/protocol/frame.h"
#include "sandbox/protocol/little_endian.h"
#include "sandbox/protocol/message_channel.h"

namespace catamaran {
namespace {

constexpr size_t kLeastFlood = 1 << 20;
constexpr size_t kMostFlood = 64 << 20;
// Of a whole flood: an emulated guest on a busy host gets that long, and no test needs it.
constexpr auto kFloodPatience = std::chrono::seconds(120);
// Of one write, once enough is out: the other side has stopped reading.
constexpr int kStoppedReadingMs = 3000;

// Writes pieces until `most` bytes are out or, after kLeastFlood of them, nobody reads any more.
// Returns how many.
std::string Flood(int fd, std::string_view piece, size_t most) {
  size_t sent = 0;
  const Deadline deadline = Deadline::After(kFloodPatience);
  while (sent < most && !deadline.expired()) {
    const ssize_t count = write(fd, piece.data(), piece.size());
    if (count > 0) {
      sent += static_cast<size_t>(count);
      continue;
    }
    pollfd writable{fd, POLLOUT, 0};
    const int ready = poll(&writable, 1, kStoppedReadingMs);
    if ((writable.revents & POLLHUP) != 0 || (ready <= 0 && sent >= kLeastFlood)) break;
  }
  return std::to_string(sent);
}

std::string Noise() {
  std::string noise(32 << 10, '\0');
  uint32_t state = 1;
  for (char& byte : noise) byte = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  return noise;
}

size_t Kibibytes(const std::string& word) { return strtoull(word.c_str(), nullptr, 10) << 10; }

// A whole frame as large as a port takes.
std::string LargeFrame(MessageType type, uint8_t flags, uint64_t epoch, std::string_view body) {
  FrameHeader header;
  header.type = static_cast<uint8_t>(type);
  header.flags = flags;
  header.epoch = epoch;
  return EncodeFrame(header, body);
}

// The agent proper, stopped while this is alive: its channel is the attack's.
class StoppedAgent {
 public:
  StoppedAgent() { kill(getppid(), SIGSTOP); }
  ~StoppedAgent() { kill(getppid(), SIGCONT); }
  StoppedAgent(const StoppedAgent&) = delete;
  StoppedAgent& operator=(const StoppedAgent&) = delete;

  // Of the session, out of what the host asks next; 0 where it asks nothing.
  uint64_t FindEpoch(int port) {
    FrameParser parser;
    for (const Deadline deadline = Deadline::After(kFloodPatience); !deadline.expired();) {
      pollfd readable{port, POLLIN, 0};
      poll(&readable, 1, kStoppedReadingMs);
      char bytes[4096];
      const ssize_t count = read(port, bytes, sizeof bytes);
      if (count <= 0) continue;
      parser.Append({bytes, static_cast<size_t>(count)});
      const auto frame = parser.Next(FrameParser::Damage::kSkip);
      if (frame && *frame) return (*frame)->header.epoch;
    }
    return 0;
  }
};

}  // namespace

std::string Line(std::string_view what, std::string_view result) {
  return fmt::format("{} {}\n", what, result);
}

// The folder of a volume: the entry of the root that has its name.
uint64_t Volume(FuseClient& fuse, const std::string& name, std::string& report) {
  report += Line("init", fuse.Init().Text());
  const auto found = fuse.Lookup(FUSE_ROOT_ID, name);
  report += Line("volume", found.Text());
  return found.node();
}

Result<std::string> FuseFlood(const Words& words, const GuestPorts& ports) {
  FuseClient fuse(ports.volumes, ports.volume_secret);
  std::string report;
  const uint64_t volume = Volume(fuse, words.at(1), report);
  // Longer than it need be: a mebibyte of these is fewer than the answers that fit into the port's
  // and the host's buffers, so it gets out whatever they hold.
  std::string one(4096, '\0');
  const std::string head =
      FuseClient::Header(static_cast<uint32_t>(one.size()), FUSE_OPENDIR, volume, 7) +
      Bytes(fuse_open_in{});
  one.replace(0, head.size(), head);
  one += fuse.seal();
  return report + Line("sent", Flood(ports.volumes, one, kMostFlood));
}

Result<std::string> FuseMalformed(const Words& words, const GuestPorts& ports) {
  FuseClient fuse(ports.volumes, ports.volume_secret);
  const auto length = static_cast<uint32_t>(strtoul(words.at(1).c_str(), nullptr, 10));
  fuse.Send(FuseClient::Header(length, FUSE_LOOKUP, 1, 3) + std::string(4096, 'x'));
  return Line("sent", "ok");
}

Result<std::string> FuseEndless(const Words& words, const GuestPorts& ports) {
  FuseClient fuse(ports.volumes, ports.volume_secret);
  std::string report = Line("init", fuse.Init().Text());
  fuse.Send(FuseClient::Header(1 << 30, FUSE_WRITE, 1, 9));
  return report +
         Line("sent", Flood(ports.volumes, std::string(32 << 10, 'e'), Kibibytes(words.at(1))));
}

Result<std::string> FuseOverread(const Words& words, const GuestPorts& ports) {
  FuseClient fuse(ports.volumes, ports.volume_secret);
  std::string report;
  const uint64_t volume = Volume(fuse, words.at(1), report);
  fuse_create_in create{};
  create.flags = O_WRONLY;
  create.mode = 0600;
  const auto created = fuse.Ask(FUSE_CREATE, volume, Bytes(create) + words.at(2) + '\0');
  report += Line("create", created.Text());
  if (created.body.size() < sizeof(fuse_entry_out) + sizeof(fuse_open_out)) return report;
  fuse_open_out handle;
  memcpy(&handle, created.body.data() + sizeof(fuse_entry_out), sizeof handle);
  fuse_write_in write{};
  write.fh = handle.fh;
  write.size = 64 << 10;
  const auto written = fuse.Ask(FUSE_WRITE, created.node(), Bytes(write) + "little");
  return report + Line("write", written.Text());
}

Result<std::string> FloodAgent(const Words& words, const GuestPorts& ports) {
  return Line("sent", Flood(ports.agent, Noise(), Kibibytes(words.at(1))));
}

Result<std::string> AgentEvents(const Words& words, const GuestPorts& ports) {
  StoppedAgent agent;
  pod::Event event;
  event.mutable_exited()->mutable_process()->set_container_id(std::string(32'000, 'c'));
  const std::string frame =
      LargeFrame(MessageType::kEvent, 0, agent.FindEpoch(ports.agent), event.SerializeAsString());
  return Line("sent", Flood(ports.agent, frame, Kibibytes(words.at(1))));
}

Result<std::string> AgentFrame(const Words& words, const GuestPorts& ports) {
  StoppedAgent agent;
  std::string head = LargeFrame(MessageType::kEvent, 0, agent.FindEpoch(ports.agent), "");
  // As frame.h lays it out: a length that is none, under a checksum that is right.
  PutLittleEndian<uint32_t>(&head[20], static_cast<uint32_t>(Kibibytes(words.at(1))));
  PutLittleEndian<uint32_t>(&head[28], Crc32c({head.data(), 28}));
  Flood(ports.agent, head, head.size());
  return Line("sent", Flood(ports.agent, std::string(32 << 10, 'f'), Kibibytes(words.at(1))));
}

Result<std::string> AgentMessage(const Words& words, const GuestPorts& ports) {
  StoppedAgent agent;
  const std::string frame =
      LargeFrame(MessageType::kEvent, FrameHeader::kMore | FrameHeader::kBulk,
                 agent.FindEpoch(ports.agent), std::string(kMaxFrameBody, 'm'));
  return Line("sent", Flood(ports.agent, frame, Kibibytes(words.at(1))));
}

Result<std::string> FloodConsole(const Words& words, const GuestPorts&) {
  ASSIGN_OR_RETURN(const UniqueFd console,
                   OpenFile("/dev/console", O_WRONLY | O_NOCTTY | O_NONBLOCK));
  return Line("sent", Flood(console.get(), Noise(), Kibibytes(words.at(1))));
}

}  // namespace catamaran
