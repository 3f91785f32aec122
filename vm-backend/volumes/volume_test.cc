// The whole path on one kernel: what a guest sees of its volumes and what reaches the host.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "sandbox/kernel/proc_status.h"
#include "vm-backend/volumes/volume_testing.h"

namespace catamaran {
namespace {

namespace fs = std::filesystem;

class Volumes : public ServedVolumeTest {
 protected:
  void SetUp() override {
    ServedVolumeTest::SetUp();
    if (HasFatalFailure()) return;
    fs::create_directories(host() / "folder/below");
    Write(host() / "folder/file", "content");
    Write(host() / "secret", "not shared");
    Write(host() / "single", "one file");
  }
};

TEST_F(Volumes, ShowsAFolderWithItsFilesAndNothingElse) {
  const auto volume = Mounted("folder");
  EXPECT_EQ(Read(volume / "file"), "content");
  EXPECT_EQ(ListDirectory(volume).value(), (std::vector<std::string>{"below", "file"}));
  EXPECT_FALSE(fs::exists(volume / "../secret"));
  EXPECT_EQ(ListDirectory(guest()).value(), std::vector<std::string>{});
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
  EXPECT_EQ(Read(host() / "single"), "changed by the guest");
}

TEST_F(Volumes, RefusesAPathThatIsNotThere) {
  const auto result = Add(host() / "absent");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kNotFound);
  EXPECT_NE(result.error().message.find("host/absent"), std::string::npos);
}

TEST_F(Volumes, WritesReachTheHostAndReadOnlyOnesAreRefusedThere) {
  Write(host() / "folder/below/file", "content");
  const auto writable = Mounted("folder");
  Write(writable / "new", "from the guest");
  EXPECT_EQ(Read(host() / "folder/new"), "from the guest");
  const auto readonly = Mounted("folder/below", true);
  EXPECT_EQ(Read(readonly / "file"), "content");
  EXPECT_EQ(open((readonly / "file").c_str(), O_WRONLY), -1);
  EXPECT_EQ(errno, EROFS);
  EXPECT_EQ(truncate((readonly / "file").c_str(), 1), -1);
  EXPECT_EQ(errno, EROFS);
  EXPECT_EQ(mkdir((readonly / "folder").c_str(), 0755), -1);
  EXPECT_EQ(errno, EROFS);
}

TEST_F(Volumes, NewFilesBelongToTheGuestsUser) {
  ASSERT_EQ(chmod(scratch_.c_str(), 0755), 0);
  ASSERT_EQ(chmod((host() / "folder").c_str(), 0777), 0);
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
    ASSERT_EQ(stat((host() / "folder" / name).c_str(), &status), 0) << name;
    EXPECT_EQ(status.st_uid, 1234u) << name;
    EXPECT_EQ(status.st_gid, 2345u) << name;
  }
  EXPECT_EQ(status.st_mode & 07777, 0750u);
}

// As the guest's kernel has the mode alone, a file's ACL would open it to its group.
TEST_F(Volumes, AclsOfTheHostAreApplied) {
  struct Entry {
    uint16_t tag, permissions;
    uint32_t id;
  };
  // Version 2: user::rw-, user:1234:r--, group::---, mask::r--, other::---; acl(5).
  std::string acl("\2\0\0\0", 4);
  for (const Entry entry :
       {Entry{1, 6, ~0u}, {2, 4, 1234}, {4, 0, ~0u}, {0x10, 4, ~0u}, {0x20, 0, ~0u}})
    acl.append(reinterpret_cast<const char*>(&entry), sizeof entry);
  ASSERT_EQ(chown((host() / "folder/file").c_str(), 0, 2345), 0);
  ASSERT_EQ(setxattr((host() / "folder/file").c_str(), "system.posix_acl_access", acl.data(),
                     acl.size(), 0),
            0);
  ASSERT_EQ(chmod(scratch_.c_str(), 0755), 0);
  const auto volume = Mounted("folder");
  const auto opened = [&](uid_t user, gid_t group) {
    setfsgid(group);
    setfsuid(user);
    const UniqueFd fd(open((volume / "file").c_str(), O_RDONLY));
    setfsuid(0);
    setfsgid(0);
    return fd.valid();
  };
  EXPECT_TRUE(opened(1234, 1234));
  EXPECT_FALSE(opened(4321, 4321));
  EXPECT_FALSE(opened(4321, 2345)) << "the mask is not the group's permission";
}

// A file system without ACLs says EOPNOTSUPP, which a guest's kernel would take for a refusal.
TEST_F(Volumes, AFileSystemWithoutAclsIsReadByOthers) {
  ASSERT_EQ(mount("ramfs", (host() / "folder/below").c_str(), "ramfs", 0, nullptr), 0);
  Write(host() / "folder/below/file", "content");
  ASSERT_EQ(chmod((host() / "folder/below").c_str(), 0755), 0);
  ASSERT_EQ(chmod(scratch_.c_str(), 0755), 0);
  const auto volume = Mounted("folder/below");
  setfsuid(1234);
  const std::string content = Read(volume / "file");
  setfsuid(0);
  umount2((host() / "folder/below").c_str(), MNT_DETACH);
  EXPECT_EQ(content, "content");
}

TEST_F(Volumes, RenameLinkTruncateChmodAndTimesPassThrough) {
  const auto volume = Mounted("folder");
  const auto on_host = host() / "folder";
  fs::rename(volume / "file", volume / "below/moved");
  EXPECT_EQ(Read(on_host / "below/moved"), "content");
  fs::create_hard_link(volume / "below/moved", volume / "second");
  struct stat status;
  ASSERT_EQ(stat((on_host / "second").c_str(), &status), 0);
  EXPECT_EQ(status.st_nlink, 2u);
  ASSERT_EQ(truncate((volume / "second").c_str(), 3), 0);
  EXPECT_EQ(Read(on_host / "below/moved"), "con");
  ASSERT_EQ(chmod((volume / "second").c_str(), 0640), 0);
  const timespec times[2] = {{1000, 1}, {2000, 2}};
  ASSERT_EQ(utimensat(AT_FDCWD, (volume / "second").c_str(), times, 0), 0);
  ASSERT_EQ(stat((on_host / "second").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0640u);
  EXPECT_EQ(status.st_mtim.tv_sec, 2000);
  EXPECT_EQ(status.st_mtim.tv_nsec, 2);
  ASSERT_EQ(symlink("/etc/passwd", (volume / "link").c_str()), 0);
  EXPECT_EQ(fs::read_symlink(on_host / "link"), "/etc/passwd");
  fs::remove_all(volume / "below");
  EXPECT_FALSE(fs::exists(on_host / "below"));
}

TEST_F(Volumes, MovesLargeContentUnchanged) {
  const auto volume = Mounted("folder");
  std::string content(20 << 20, 0);
  for (size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 7 + (i >> 12));
  Write(volume / "large", content);
  EXPECT_TRUE(Read(host() / "folder/large") == content);
  EXPECT_TRUE(Read(volume / "large") == content);
}

TEST_F(Volumes, ListsAFolderOfThousandsOfFiles) {
  const auto volume = Mounted("folder/below");
  for (int i = 0; i < 3000; ++i) Write(host() / "folder/below" / std::to_string(i), "");
  EXPECT_EQ(ListDirectory(volume).value().size(), 3000u);
}

TEST_F(Volumes, DevicesAndPrivilegedAttributesAreRefused) {
  const auto volume = Mounted("folder");
  EXPECT_EQ(mknod((volume / "device").c_str(), S_IFBLK | 0600, 0), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(setxattr((volume / "file").c_str(), "trusted.overlay.opaque", "y", 1, 0), -1);
  EXPECT_EQ(setxattr((volume / "file").c_str(), "user.note", "y", 1, 0), 0);
  char value[8];
  EXPECT_EQ(getxattr((host() / "folder/file").c_str(), "user.note", value, sizeof value), 1);
}

TEST_F(Volumes, AHostFifoOrDeviceIsNeverOpenedByTheServer) {
  ASSERT_EQ(mknod((host() / "folder/fifo").c_str(), S_IFIFO | 0600, 0), 0);
  const auto volume = Mounted("folder");
  // A fifo belongs to the kernel that opens it: this one never reaches the server, which goes on.
  const UniqueFd fifo(open((volume / "fifo").c_str(), O_RDONLY | O_NONBLOCK));
  EXPECT_TRUE(fifo.valid());
  EXPECT_EQ(Read(volume / "file"), "content");
}

// Containers that share a volume are given it once each.
TEST_F(Volumes, OneFolderIsOneVolumeUntilTheLastOfItsUsersIsGone) {
  const auto first = Add(host() / "folder"), second = Add(host() / "folder");
  ASSERT_TRUE(first && second);
  EXPECT_EQ(*first, *second);
  EXPECT_NE(*Add(host() / "folder", /*readonly=*/true), *first);
  EXPECT_NE(*Add(host() / "folder/below"), *first);
  server_->RemoveVolume(*first);
  EXPECT_EQ(Read(guest() / *second / "file"), "content");
  server_->RemoveVolume(*second);
  EXPECT_TRUE(RunUntil([&] { return !fs::exists(guest() / *second / "file"); }));
  const auto again = Add(host() / "folder");
  ASSERT_TRUE(again);
  EXPECT_EQ(Read(guest() / *again / "file"), "content");
}

TEST_F(Volumes, AFileIsOneWhateverVolumesLeadToIt) {
  Write(host() / "folder/below/file", "content");
  const auto readonly = Mounted("folder", true), part = Mounted("folder/below");
  struct stat by_whole, by_part;
  ASSERT_EQ(stat((readonly / "below/file").c_str(), &by_whole), 0);
  const UniqueFd held(open((readonly / "below/file").c_str(), O_RDONLY));
  ASSERT_EQ(stat((part / "file").c_str(), &by_part), 0);
  const UniqueFd other(open((part / "file").c_str(), O_RDWR));
  ASSERT_TRUE(other.valid()) << strerror(errno);
  ASSERT_EQ(flock(held.get(), LOCK_EX), 0);
  EXPECT_EQ(flock(other.get(), LOCK_EX | LOCK_NB), -1);
  EXPECT_EQ(errno, EWOULDBLOCK);
  ASSERT_EQ(pwrite(other.get(), "CON", 3, 0), 3);
  char bytes[4] = {};
  ASSERT_EQ(pread(held.get(), bytes, 3, 0), 3);
  EXPECT_STREQ(bytes, "CON");
  // A folder that is only there for reading stays so.
  EXPECT_EQ(mkdir((readonly / "below/new").c_str(), 0755), -1);
  EXPECT_EQ(errno, EROFS);
  EXPECT_EQ(open((readonly / "file").c_str(), O_WRONLY), -1);
  EXPECT_EQ(errno, EROFS);
}

TEST_F(Volumes, TheEndOfTheServerIsReported) {
  // One that fails time and again is given up.
  for (int i = 0; i < 600 && !server_ended_; ++i) {
    kill(server_->pid(), SIGKILL);
    ASSERT_TRUE(loop_->RunOnce(std::chrono::milliseconds(100)));
  }
  EXPECT_TRUE(server_ended_);
  EXPECT_EQ(Add(host() / "folder").error().code, ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace catamaran
