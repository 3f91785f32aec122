// The whole path on one kernel: server and pump joined by a socket pair instead of a virtio-serial
// port, FUSE mounted in a mount namespace of the test's own.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/fuse.h>
#include <sched.h>
#include <signal.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include <fstream>

#include "sandbox/base/files.h"
#include "sandbox/kernel/proc_status.h"
#include "sandbox/kernel/unix_socket.h"
#include "vm-backend/volumes/volume_pump.h"
#include "vm-backend/volumes/volume_server.h"

namespace catamaran {
namespace {

namespace fs = std::filesystem;

class Volumes : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(getuid(), 0u) << "run as root";
    ASSERT_EQ(unshare(CLONE_NEWNS), 0);
    ASSERT_EQ(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    char name[] = "/tmp/volume_test.XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    scratch_ = name;
    fs::create_directories(scratch_ / "host/folder/below");
    Write(scratch_ / "host/folder/file", "content");
    Write(scratch_ / "host/secret", "not shared");
    Write(scratch_ / "host/single", "one file");
    fs::create_directories(scratch_ / "guest");
    loop_ = EventLoop::Create().value();
    auto [host, guest] = MakeSocketPair(SOCK_STREAM).value();
    VolumeServer::Options options;
    options.secret = "one secret";
    options.on_exit = [this] { server_ended_ = true; };
    auto server = VolumeServer::Start(*loop_, std::move(host), std::move(options));
    ASSERT_TRUE(server) << server.error().message;
    server_ = std::move(server).value();
    auto pump =
        VolumePump::Start(*loop_, std::move(guest), GuestPath(scratch_ / "guest"), "one secret");
    ASSERT_TRUE(pump) << pump.error().message;
    pump_ = std::move(*pump);
  }

  void TearDown() override {
    server_.reset();
    umount2((scratch_ / "guest").c_str(), MNT_DETACH);
    pump_.reset();
    if (!scratch_.empty()) {
      EXPECT_TRUE(RemoveTree(scratch_));
    }
  }

  static void Write(const fs::path& path, const std::string& content) {
    std::ofstream(path) << content;
  }
  static std::string Read(const fs::path& path) {
    std::ifstream stream(path);
    return std::string(std::istreambuf_iterator<char>(stream), {});
  }

  Result<std::string> Add(const fs::path& path, bool readonly) {
    Result<std::string> result = Fail(ErrorCode::kDeadlineExceeded, "no answer");
    bool answered = false;
    server_->AddVolume({HostPath(path), readonly, false}, [&](Result<std::string> answer) {
      result = std::move(answer);
      answered = true;
    });
    for (int i = 0; i < 600 && !answered; ++i)
      EXPECT_TRUE(loop_->RunOnce(std::chrono::milliseconds(100)));
    return result;
  }

  // The volume as the guest sees it.
  fs::path Mounted(const fs::path& path, bool readonly = false) {
    auto name = Add(scratch_ / "host" / path, readonly);
    EXPECT_TRUE(name) << name.error().message;
    return scratch_ / "guest" / name.value_or("absent");
  }

  fs::path scratch_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<VolumeServer> server_;
  std::unique_ptr<VolumePump> pump_;
  bool server_ended_ = false;
};

TEST_F(Volumes, ShowsAFolderWithItsFilesAndNothingElse) {
  const auto volume = Mounted("folder");
  EXPECT_EQ(Read(volume / "file"), "content");
  EXPECT_EQ(ListDirectory(volume).value(), (std::vector<std::string>{"below", "file"}));
  EXPECT_FALSE(fs::exists(volume / "../secret"));
  EXPECT_EQ(ListDirectory(scratch_ / "guest").value(), std::vector<std::string>{});
}

TEST_F(Volumes, AreServedByAConfinedProcess) {
  Mounted("folder");  // it serves: it is confined
  const std::string proc = "/proc/" + std::to_string(server_->pid());
  const auto status = [&](const char* field) { return ProcStatusField(proc + "/status", field); };
  // CHOWN, DAC_OVERRIDE, FOWNER, FSETID, SETGID, SETUID.
  for (const char* set : {"CapPrm", "CapEff", "CapBnd"})
    EXPECT_EQ(status(set), "00000000000000db") << set;
  EXPECT_EQ(status("NoNewPrivs"), "1");
  EXPECT_EQ(status("Seccomp"), "2");
  EXPECT_TRUE(status("NSpid").ends_with("\t1"));
  for (const char* name : {"user", "mnt", "pid", "net", "ipc", "uts"})
    EXPECT_NE(fs::read_symlink(proc + "/ns/" + name),
              fs::read_symlink(std::string("/proc/self/ns/") + name))
        << name;
  EXPECT_TRUE(fs::is_empty(proc + "/root"));
  // /dev/null three times, two channels (one of them twice, libfuse has its own), one volume.
  EXPECT_EQ(ListDirectory(proc + "/fd")->size(), 7u);
}

TEST_F(Volumes, ShowsASingleFile) {
  const auto volume = Mounted("single");
  EXPECT_EQ(Read(volume), "one file");
  Write(volume, "changed by the guest");
  EXPECT_EQ(Read(scratch_ / "host/single"), "changed by the guest");
}

TEST_F(Volumes, RefusesAPathThatIsNotThere) {
  const auto result = Add(scratch_ / "host/absent", false);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kNotFound);
  EXPECT_NE(result.error().message.find("host/absent"), std::string::npos);
}

TEST_F(Volumes, WritesReachTheHostAndReadOnlyOnesAreRefusedThere) {
  const auto writable = Mounted("folder");
  const auto readonly = Mounted("folder", true);
  Write(writable / "new", "from the guest");
  EXPECT_EQ(Read(scratch_ / "host/folder/new"), "from the guest");
  EXPECT_EQ(Read(readonly / "new"), "from the guest");
  EXPECT_EQ(open((readonly / "new").c_str(), O_WRONLY), -1);
  EXPECT_EQ(errno, EROFS);
  EXPECT_EQ(mkdir((readonly / "folder").c_str(), 0755), -1);
  EXPECT_EQ(errno, EROFS);
}

TEST_F(Volumes, NewFilesBelongToTheGuestsUser) {
  ASSERT_EQ(chmod(scratch_.c_str(), 0755), 0);
  ASSERT_EQ(chmod((scratch_ / "host/folder").c_str(), 0777), 0);
  const auto volume = Mounted("folder");
  setfsgid(2345);
  setfsuid(1234);
  Write(volume / "theirs", "x");
  const int made = mkdir((volume / "folder").c_str(), 0750);
  setfsuid(0);
  setfsgid(0);
  ASSERT_EQ(made, 0);
  struct stat status;
  for (const char* name : {"theirs", "folder"}) {
    ASSERT_EQ(stat((scratch_ / "host/folder" / name).c_str(), &status), 0) << name;
    EXPECT_EQ(status.st_uid, 1234u) << name;
    EXPECT_EQ(status.st_gid, 2345u) << name;
  }
  EXPECT_EQ(status.st_mode & 07777, 0750u);
}

TEST_F(Volumes, RenameLinkTruncateChmodAndTimesPassThrough) {
  const auto volume = Mounted("folder");
  const auto host = scratch_ / "host/folder";
  fs::rename(volume / "file", volume / "below/moved");
  EXPECT_EQ(Read(host / "below/moved"), "content");
  fs::create_hard_link(volume / "below/moved", volume / "second");
  struct stat status;
  ASSERT_EQ(stat((host / "second").c_str(), &status), 0);
  EXPECT_EQ(status.st_nlink, 2u);
  ASSERT_EQ(truncate((volume / "second").c_str(), 3), 0);
  EXPECT_EQ(Read(host / "below/moved"), "con");
  ASSERT_EQ(chmod((volume / "second").c_str(), 0640), 0);
  const timespec times[2] = {{1000, 1}, {2000, 2}};
  ASSERT_EQ(utimensat(AT_FDCWD, (volume / "second").c_str(), times, 0), 0);
  ASSERT_EQ(stat((host / "second").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0640u);
  EXPECT_EQ(status.st_mtim.tv_sec, 2000);
  EXPECT_EQ(status.st_mtim.tv_nsec, 2);
  ASSERT_EQ(symlink("/etc/passwd", (volume / "link").c_str()), 0);
  EXPECT_EQ(fs::read_symlink(host / "link"), "/etc/passwd");
  fs::remove_all(volume / "below");
  EXPECT_FALSE(fs::exists(host / "below"));
}

TEST_F(Volumes, MovesLargeContentUnchanged) {
  const auto volume = Mounted("folder");
  std::string content(20 << 20, 0);
  for (size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 7 + (i >> 12));
  Write(volume / "large", content);
  EXPECT_TRUE(Read(scratch_ / "host/folder/large") == content);
  EXPECT_TRUE(Read(volume / "large") == content);
}

TEST_F(Volumes, ListsAFolderOfThousandsOfFiles) {
  const auto volume = Mounted("folder/below");
  for (int i = 0; i < 3000; ++i) Write(scratch_ / "host/folder/below" / std::to_string(i), "");
  EXPECT_EQ(ListDirectory(volume).value().size(), 3000u);
}

TEST_F(Volumes, DevicesAndPrivilegedAttributesAreRefused) {
  const auto volume = Mounted("folder");
  EXPECT_EQ(mknod((volume / "device").c_str(), S_IFBLK | 0600, 0), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(setxattr((volume / "file").c_str(), "trusted.overlay.opaque", "y", 1, 0), -1);
  EXPECT_EQ(setxattr((volume / "file").c_str(), "user.note", "y", 1, 0), 0);
  char value[8];
  EXPECT_EQ(getxattr((scratch_ / "host/folder/file").c_str(), "user.note", value, sizeof value), 1);
}

TEST_F(Volumes, AHostFifoOrDeviceIsNeverOpenedByTheServer) {
  ASSERT_EQ(mknod((scratch_ / "host/folder/fifo").c_str(), S_IFIFO | 0600, 0), 0);
  const auto volume = Mounted("folder");
  // A fifo belongs to the kernel that opens it: this one never reaches the server, which goes on.
  const UniqueFd fifo(open((volume / "fifo").c_str(), O_RDONLY | O_NONBLOCK));
  EXPECT_TRUE(fifo.valid());
  EXPECT_EQ(Read(volume / "file"), "content");
}

TEST_F(Volumes, TheEndOfTheServerIsReported) {
  // One that fails time and again is given up.
  for (int i = 0; i < 600 && !server_ended_; ++i) {
    kill(server_->pid(), SIGKILL);
    ASSERT_TRUE(loop_->RunOnce(std::chrono::milliseconds(100)));
  }
  EXPECT_TRUE(server_ended_);
  EXPECT_EQ(Add(scratch_ / "host/folder", false).error().code, ErrorCode::kUnavailable);
}

// A guest that speaks FUSE itself, without a kernel that would check anything.
class HostileGuest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(getuid(), 0u) << "run as root";
    loop_ = EventLoop::Create().value();
    auto [host, guest] = MakeSocketPair(SOCK_STREAM).value();
    VolumeServer::Options options;
    options.secret = "its secret";
    options.on_exit = [this] { ended_ = true; };
    server_ = VolumeServer::Start(*loop_, std::move(host), std::move(options)).value();
    guest_ = std::move(guest);
    const timeval patience{60, 0};
    setsockopt(guest_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    char name[] = "/tmp/volume_hostile.XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    scratch_ = name;
    ASSERT_EQ(mknod((scratch_ / "fifo").c_str(), S_IFIFO | 0600, 0), 0);
    ASSERT_EQ(symlink("/etc", (scratch_ / "link").c_str()), 0);
    bool added = false;
    server_->AddVolume({HostPath(scratch_), false, false}, [&](auto result) {
      EXPECT_TRUE(result);
      added = true;
    });
    for (int i = 0; i < 600 && !added; ++i)
      ASSERT_TRUE(loop_->RunOnce(std::chrono::milliseconds(100)));
    Begin(1);
    fuse_init_in init{};
    init.major = 7;
    init.minor = 38;
    ASSERT_EQ(Ask(FUSE_INIT, 0, Bytes(init)).error, 0);
    volume_ = LookUp(1, "0");
    ASSERT_NE(volume_, 0u);
  }
  void TearDown() override {
    if (!scratch_.empty()) {
      EXPECT_TRUE(RemoveTree(scratch_));
    }
  }

  static std::string Bytes(const auto& value) {
    return std::string(reinterpret_cast<const char*>(&value), sizeof value);
  }
  struct Answer {
    int error = -1;
    std::string body;
  };
  Answer Ask(uint32_t opcode, uint64_t node, const std::string& body) {
    fuse_in_header header{};
    header.len = sizeof header + body.size();
    header.opcode = opcode;
    header.unique = ++unique_;
    header.nodeid = node;
    EXPECT_TRUE(WriteAll(guest_.get(), Bytes(header) + body + std::string(framing_.seal())));
    const auto item = Next();
    if (!item) return {};
    fuse_out_header reply{};
    memcpy(&reply, item->message.data(), sizeof reply);
    EXPECT_EQ(reply.unique, unique_);
    const auto rest = item->message.subspan(sizeof reply);
    return {-reply.error, std::string(reinterpret_cast<const char*>(rest.data()), rest.size())};
  }
  void Begin(uint64_t session) {
    ASSERT_TRUE(WriteAll(guest_.get(), framing_.MarkBytes(VolumeFraming::Mark::kBegin, session)));
    const auto item = Next();
    ASSERT_TRUE(item);
    EXPECT_EQ(item->mark, VolumeFraming::Mark::kBegun);
    EXPECT_EQ(item->session, session);
    reader_.Found();
  }
  std::optional<VolumeFrameReader::Item> Next() {
    while (true) {
      if (auto item = reader_.Next()) return item;
      std::byte piece[4096];
      const ssize_t count = recv(guest_.get(), piece, sizeof piece, 0);
      if (count <= 0) return std::nullopt;
      reader_.Append(std::span(piece).first(static_cast<size_t>(count)));
    }
  }
  uint64_t LookUp(uint64_t parent, const std::string& name) {
    const Answer answer = Ask(FUSE_LOOKUP, parent, name + '\0');
    fuse_entry_out entry{};
    if (answer.error == 0) memcpy(&entry, answer.body.data(), sizeof entry);
    return entry.nodeid;
  }
  static std::string Open(uint32_t flags) {
    fuse_open_in open{};
    open.flags = flags;
    return Bytes(open);
  }

  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<VolumeServer> server_;
  UniqueFd guest_;
  const VolumeFraming framing_{"its secret"};
  VolumeFrameReader reader_{framing_, sizeof(fuse_out_header), 2 << 20};
  fs::path scratch_;
  uint64_t unique_ = 0;
  uint64_t volume_ = 0;
  bool ended_ = false;
};

TEST_F(HostileGuest, NamesCannotLeaveTheirFolder) {
  for (const char* name : {"..", ".", "/etc/passwd", "../../etc/passwd", "link/passwd"})
    EXPECT_EQ(Ask(FUSE_LOOKUP, volume_, std::string(name) + '\0').error, EIO) << name;
}

TEST_F(HostileGuest, ASymlinkIsNeitherFollowedNorOpened) {
  const uint64_t link = LookUp(volume_, "link");
  ASSERT_NE(link, 0u);
  EXPECT_EQ(Ask(FUSE_LOOKUP, link, std::string("passwd") + '\0').error, ENOTDIR);
  EXPECT_EQ(Ask(FUSE_OPEN, link, Open(O_RDONLY)).error, EACCES);
  fuse_create_in create{};
  create.flags = O_WRONLY;
  create.mode = 0600;
  EXPECT_NE(Ask(FUSE_CREATE, volume_, Bytes(create) + "link" + '\0').error, 0);
}

TEST_F(HostileGuest, AFifoOnTheHostIsNotOpened) {
  const uint64_t fifo = LookUp(volume_, "fifo");
  ASSERT_NE(fifo, 0u);
  EXPECT_EQ(Ask(FUSE_OPEN, fifo, Open(O_RDONLY)).error, EACCES);
}

TEST_F(HostileGuest, InventedNodesAndHandlesAreRefused) {
  fuse_read_in read{};
  read.size = 100;
  for (const uint64_t invented : {0ull, 2ull, 77ull, 0x7fff00000000ull, ~0ull}) {
    if (invented == volume_) continue;
    read.fh = invented;
    EXPECT_EQ(Ask(FUSE_GETATTR, invented, std::string(sizeof(fuse_getattr_in), 0)).error, ESTALE);
    EXPECT_EQ(Ask(FUSE_READ, volume_, Bytes(read)).error, EBADF);
    EXPECT_EQ(Ask(FUSE_READDIR, volume_, Bytes(read)).error, EBADF);
  }
}

TEST_F(HostileGuest, ASecondInitIsRefused) {
  fuse_init_in init{};
  init.major = 7;
  init.minor = 38;
  EXPECT_EQ(Ask(FUSE_INIT, 0, Bytes(init)).error, EIO);
}

TEST_F(HostileGuest, WhatCannotBeAFrameIsPassedOverUntilASessionBegins) {
  ASSERT_TRUE(WriteAll(guest_.get(), std::string(64, '\xff')));
  // A request without a session is none.
  ASSERT_TRUE(WriteAll(guest_.get(), std::string(300'000, '\x01')));
  Begin(2);
  EXPECT_NE(LookUp(1, "0"), 0u);
  EXPECT_FALSE(ended_);
}

TEST_F(HostileGuest, AMessageWithAnothersSealIsDropped) {
  fuse_mkdir_in mkdir{};
  mkdir.mode = 0755;
  fuse_in_header header{};
  const std::string body = Bytes(mkdir) + std::string("made") + '\0';
  header.len = sizeof header + body.size();
  header.opcode = FUSE_MKDIR;
  header.nodeid = volume_;
  ASSERT_TRUE(WriteAll(guest_.get(), Bytes(header) + body + std::string(16, 's')));
  Begin(2);
  EXPECT_FALSE(fs::exists(scratch_ / "made"));
}

}  // namespace
}  // namespace catamaran
