// The leak comparison itself: each kind of thing left behind is seen, in a private world.
#include "e2e/harness/leaks.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "e2e/harness/daemon.h"

namespace catamaran::e2e {
namespace {

WorldPaths the_paths;

class LeaksTest : public ::testing::Test {
 protected:
  void SetUp() override { before_ = TakeSnapshot(the_paths, getpid()); }

  std::vector<std::string> Now() { return Differences(before_, TakeSnapshot(the_paths, getpid())); }
  // Whether the snapshot differs now, in this kind and in no other.
  void ExpectOnly(const std::string& kind) {
    const auto differences = Now();
    ASSERT_FALSE(differences.empty()) << kind;
    for (const std::string& line : differences) EXPECT_EQ(line.rfind(kind, 0), 0u) << line;
  }
  void ExpectNothing() {
    for (const auto& line : Now()) ADD_FAILURE() << line;
  }

 private:
  Snapshot before_;
};

TEST_F(LeaksTest, NothingDiffersWhereNothingHappened) { ExpectNothing(); }

TEST_F(LeaksTest, AFileLeftBehindIsSeen) {
  const std::string path = the_paths.root() + "/left";
  std::ofstream(path) << "x";
  ExpectOnly("files in root: new");
  unlink(path.c_str());
  ExpectNothing();
}

TEST_F(LeaksTest, AMountLeftBehindIsSeen) {
  ASSERT_EQ(mount("tmpfs", the_paths.run().c_str(), "tmpfs", 0, nullptr), 0);
  ExpectOnly("mounts: new");
  ASSERT_EQ(umount(the_paths.run().c_str()), 0);
  ExpectNothing();
}

TEST_F(LeaksTest, AProcessLeftBehindIsSeen) {
  const pid_t child = fork();
  if (child == 0) {
    pause();
    _exit(0);
  }
  ExpectOnly("processes: new");
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  ExpectNothing();
}

TEST_F(LeaksTest, ACgroupLeftBehindIsSeen) {
  const std::string v1 = "/sys/fs/cgroup/pids";
  const std::string group =
      (access(v1.c_str(), F_OK) == 0 ? v1 : "/sys/fs/cgroup") + the_paths.cgroup_root + "/left";
  ASSERT_EQ(mkdir(group.c_str(), 0755), 0) << strerror(errno);
  ExpectOnly("cgroups: new");
  ASSERT_EQ(rmdir(group.c_str()), 0);
  ExpectNothing();
}

TEST_F(LeaksTest, ALinkLeftBehindIsSeen) {
  ASSERT_EQ(RunProgram({"/sbin/ip", "link", "add", "left", "type", "veth", "peer", "name", "over"})
                .exit_code,
            0);
  ExpectOnly("links: new");
  ASSERT_EQ(RunProgram({"/sbin/ip", "link", "delete", "left"}).exit_code, 0);
  ExpectNothing();
}

TEST_F(LeaksTest, AnNftablesTableLeftBehindIsSeen) {
  ASSERT_EQ(RunProgram({"/usr/sbin/nft", "add", "table", "ip", "left"}).exit_code, 0);
  ExpectOnly("nftables: new");
  ASSERT_EQ(RunProgram({"/usr/sbin/nft", "delete", "table", "ip", "left"}).exit_code, 0);
  ExpectNothing();
}

TEST_F(LeaksTest, ANetworkNamespaceLeftBehindIsSeen) {
  const std::string pin = the_paths.root() + "/netns";
  std::ofstream(pin) << "";
  const pid_t child = fork();
  if (child == 0) {
    const bool pinned = unshare(CLONE_NEWNET) == 0 &&
                        mount("/proc/self/ns/net", pin.c_str(), nullptr, MS_BIND, nullptr) == 0;
    _exit(pinned ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_EQ(status, 0);
  bool seen = false;
  for (const std::string& line : Now()) seen |= line.starts_with("network namespaces: new: net:[");
  EXPECT_TRUE(seen);
  ASSERT_EQ(umount(pin.c_str()), 0);
  unlink(pin.c_str());
  ExpectNothing();
}

TEST_F(LeaksTest, ADescriptorLeftOpenIsSeen) {
  const int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  ExpectOnly("descriptors of the daemon: new");
  close(fd);
  ExpectNothing();
}

}  // namespace
}  // namespace catamaran::e2e

int main(int argc, char** argv) {
  using namespace catamaran::e2e;
  ::testing::InitGoogleTest(&argc, argv);
  the_paths = MakeWorldPaths();
  return RunInPrivateWorld(the_paths, [] { return RUN_ALL_TESTS(); });
}
