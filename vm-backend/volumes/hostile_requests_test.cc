// What a guest may try that speaks FUSE itself: its requests come straight from this test.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/fuse.h>
#include <sys/stat.h>

#include "vm-backend/volumes/volume_testing.h"

namespace catamaran {
namespace {

namespace fs = std::filesystem;

// A guest that speaks FUSE itself, without a kernel that would check anything.
class HostileGuest : public VolumeScratchTest {
 protected:
  void SetUp() override {
    VolumeScratchTest::SetUp();
    if (HasFatalFailure()) return;
    auto [host, guest] = MakeSocketPair(SOCK_STREAM).value();
    VolumeServer::Options options;
    options.secret = "its secret";
    options.on_exit = [this] { ended_ = true; };
    server_ = VolumeServer::Start(*loop_, std::move(host), std::move(options)).value();
    guest_ = std::move(guest);
    const timeval patience{60, 0};
    setsockopt(guest_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ASSERT_EQ(mknod((scratch_ / "fifo").c_str(), S_IFIFO | 0600, 0), 0);
    ASSERT_EQ(symlink("/etc", (scratch_ / "link").c_str()), 0);
    bool added = false;
    server_->AddVolume({HostPath(scratch_)}, [&](auto result) {
      EXPECT_TRUE(result);
      added = true;
    });
    ASSERT_TRUE(RunUntil([&] { return added; }));
    Begin(1);
    fuse_init_in init{};
    init.major = 7;
    init.minor = 38;
    ASSERT_EQ(Ask(FUSE_INIT, 0, Bytes(init)).error, 0);
    volume_ = LookUp(1, "0");
    ASSERT_NE(volume_, 0u);
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

  std::unique_ptr<VolumeServer> server_;
  UniqueFd guest_;
  const VolumeFraming framing_{"its secret"};
  VolumeFrameReader reader_{framing_, sizeof(fuse_out_header), 2 << 20};
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
