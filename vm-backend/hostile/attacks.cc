#include "vm-backend/hostile/attacks.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <scsi/sg.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <map>

#include "sandbox/base/deadline.h"
#include "sandbox/base/files.h"
#include "vm-backend/hostile/channel_attacks.h"
#include "vm-backend/hostile/fuse_client.h"

namespace catamaran {
namespace {

std::string Outcome(bool worked) { return worked ? "ok" : std::to_string(errno); }

Result<std::string> FuseNames(const Words& words, const GuestPorts& ports) {
  FuseClient fuse(ports.volumes, ports.volume_secret);
  std::string report;
  const uint64_t volume = Volume(fuse, words.at(1), report);
  const std::string& target = words.at(2);
  const auto slash = target.rfind('/');
  for (const std::string& name :
       {std::string(".."), std::string("."), std::string(), target,
        "../" + target.substr(slash + 1), "below/../../" + target.substr(slash + 1),
        std::string("/etc/passwd")}) {
    report += Line("lookup:" + name, fuse.Lookup(volume, name).Text());
    report += Line("root-lookup:" + name, fuse.Lookup(FUSE_ROOT_ID, name).Text());
    report += Line("unlink:" + name, fuse.Ask(FUSE_UNLINK, volume, name + '\0').Text());
    report +=
        Line("mkdir:" + name,
             fuse.Ask(FUSE_MKDIR, volume, Bytes(fuse_mkdir_in{0755, 0}) + name + '\0').Text());
  }
  // A link is the guest's to make; where it leads is for its own kernel to find out.
  fuse.Ask(FUSE_SYMLINK, volume, std::string("link") + '\0' + target + '\0');
  const auto link = fuse.Lookup(volume, "link");
  report += Line("read-link", fuse.ReadFile(link.node()).empty() ? "nothing" : "saw");
  report += Line("below-link", fuse.Lookup(link.node(), "x").Text());
  fuse_open_in open{};
  open.flags = O_RDWR | O_CREAT | O_TRUNC;
  report += Line("open-link", fuse.Ask(FUSE_OPEN, link.node(), Bytes(open)).Text());
  for (const uint64_t node : {uint64_t{0}, uint64_t{999}, UINT64_MAX, uint64_t{0x7fff00000000}})
    report += Line("open-forged", fuse.Ask(FUSE_OPEN, node, Bytes(open)).Text());
  fuse_read_in read{};
  read.fh = 0x7fff00000000;
  read.size = 4096;
  report += Line("read-forged", fuse.Ask(FUSE_READ, volume, Bytes(read)).Text());
  return report;
}

Result<std::string> FuseRace(const Words& words, const GuestPorts& ports) {
  FuseClient fuse(ports.volumes, ports.volume_secret);
  std::string report;
  const uint64_t volume = Volume(fuse, words.at(1), report);
  int files = 0, other = 0;
  for (int round = 0; round < atoi(words.at(2).c_str()); ++round) {
    const auto folder = fuse.Lookup(volume, "swap");
    const auto file = fuse.Lookup(folder.node(), "secret");
    const std::string content = file.error == 0 ? fuse.ReadFile(file.node()) : "";
    if (content == "the volume's own\n")
      ++files;
    else if (content.empty())
      ++other;
    else
      report += Line("saw", content);
  }
  return report + Line("own", std::to_string(files)) + Line("none", std::to_string(other));
}

// Waits for the guest's kernel to find it.
Result<std::string> DeviceOf(const std::string& serial) {
  for (const Deadline deadline = Deadline::After(std::chrono::seconds(60)); !deadline.expired();) {
    const auto names = ListDirectory("/sys/block");
    for (const std::string& name : names ? *names : Words()) {
      const auto page = ReadFile("/sys/block/" + name + "/device/vpd_pg80", 256);
      if (page && page->size() > 4 && page->substr(4) == serial) return "/dev/" + name;
    }
    usleep(20'000);
  }
  return Fail(ErrorCode::kNotFound, "no disk {}", serial);
}

// WRITE(10) of one block, past the block layer and what it thinks of the disk.
bool WriteByScsi(int fd) {
  unsigned char block[512], sense[64] = {};
  memset(block, 0x66, sizeof block);
  unsigned char command[10] = {0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0};
  sg_io_hdr_t request{};
  request.interface_id = 'S';
  request.dxfer_direction = SG_DXFER_TO_DEV;
  request.cmd_len = sizeof command;
  request.cmdp = command;
  request.dxferp = block;
  request.dxfer_len = sizeof block;
  request.sbp = sense;
  request.mx_sb_len = sizeof sense;
  request.timeout = 20'000;
  if (ioctl(fd, SG_IO, &request) != 0) return false;
  errno = EIO;
  return request.status == 0 && request.host_status == 0;
}

Result<std::string> WriteDisk(const Words& words, const GuestPorts&) {
  ASSIGN_OR_RETURN(const std::string device, DeviceOf(words.at(1)));
  std::string report = Line("device", device);
  const UniqueFd reader(open(device.c_str(), O_RDONLY | O_CLOEXEC));
  int off = 0;
  report += Line("set-writable", Outcome(ioctl(reader.get(), BLKROSET, &off) == 0));
  const UniqueFd writer(open(device.c_str(), O_RDWR | O_CLOEXEC));
  report += Line("open", Outcome(writer.valid()));
  const std::string block(4096, 'f');
  const bool written = pwrite(writer.get(), block.data(), block.size(), 4096) > 0;
  report += Line("write", Outcome(written && fsync(writer.get()) == 0));
  uint64_t range[2] = {0, 4096};
  report += Line("discard", Outcome(ioctl(writer.get(), BLKDISCARD, range) == 0));
  report += Line("zero-out", Outcome(ioctl(writer.get(), BLKZEROOUT, range) == 0));
  report += Line("scsi-write", Outcome(WriteByScsi(reader.get())));
  return report;
}

Result<std::string> FillMemory(const Words&, const GuestPorts&) {
  constexpr size_t kPiece = 4 << 20;
  size_t filled = 0;
  std::vector<void*> pieces;
  while (filled < (64u << 20)) {
    void* piece = mmap(nullptr, kPiece, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (piece == MAP_FAILED) break;
    memset(piece, 0xa5, kPiece);
    pieces.push_back(piece);
    filled += kPiece;
  }
  for (void* piece : pieces) madvise(piece, kPiece, MADV_DONTNEED);
  // What a host offers for giving memory back: there must be no such device.
  std::string drivers;
  const auto names = ListDirectory("/sys/bus/virtio/devices");
  for (const std::string& name : names ? *names : Words())
    if (const auto type = ReadFile("/sys/bus/virtio/devices/" + name + "/device", 64))
      if (type->find("0x0005") == 0) drivers += name;
  return Line("filled", std::to_string(filled)) +
         Line("balloon", drivers.empty() ? "none" : drivers);
}

}  // namespace

Result<std::string> CarryOut(const Words& words, const GuestPorts& ports) {
  struct Attack {
    size_t words;  // its name included
    Result<std::string> (*carry_out)(const Words& words, const GuestPorts& ports);
  };
  static const std::map<std::string, Attack> attacks = {
      {"fuse-names", {3, FuseNames}},       {"fuse-race", {3, FuseRace}},
      {"fuse-flood", {2, FuseFlood}},       {"fuse-malformed", {2, FuseMalformed}},
      {"fuse-endless", {2, FuseEndless}},   {"fuse-overread", {3, FuseOverread}},
      {"write-disk", {2, WriteDisk}},       {"fill-memory", {1, FillMemory}},
      {"flood-agent", {2, FloodAgent}},     {"agent-events", {2, AgentEvents}},
      {"agent-frame", {2, AgentFrame}},     {"agent-message", {2, AgentMessage}},
      {"flood-console", {2, FloodConsole}},
  };
  const auto found = words.empty() ? attacks.end() : attacks.find(words[0]);
  if (found == attacks.end() || words.size() != found->second.words)
    return Fail(ErrorCode::kInvalidArgument, "no such attack");
  return found->second.carry_out(words, ports);
}

}  // namespace catamaran
