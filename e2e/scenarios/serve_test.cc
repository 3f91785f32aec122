// `catamaran serve` as an administrator meets it: flags, readiness, its end. A second daemon with
// folders and cgroups of its own, beside the one that all other scenarios use.
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

#include "e2e/harness/pod_test.h"
#include "sandbox/base/files.h"
#include "sandbox/base/unique_fd.h"

namespace catamaran::e2e {
namespace {

class ServeTest : public WorldTest {
 protected:
  void SetUp() override {
    WorldTest::SetUp();
    // Outside what the leak comparison looks at: it is all this daemon's own.
    folder_ = world().NewFolder("serve");
    for (const char* of : {"file", "flags"}) {
      ASSERT_TRUE(MakeDirectories(Root(of), 0755));
      ASSERT_TRUE(MakeDirectories(Run(of), 0700));
    }
    WorldPaths paths = world().paths();
    paths.base = folder_ + "/file";
    paths.cgroup_root = paths.OtherCgroupRoot("second");
    auto text = ConfigText(paths);
    // The network belongs to the first daemon, and no handler of this one keeps templates.
    text.replace(text.find("network: builtin"), strlen("network: builtin"), "network: cni");
    text.resize(text.find("handlers:"));
    text += "handlers:\n  - name: ns\n    backend: ns\n";
    ASSERT_TRUE(ReplaceFile(Config(), text, 0600, Durability::kProcessCrash));
  }

  std::string Root(const std::string& of) const { return folder_ + "/" + of + "/root"; }
  std::string Run(const std::string& of) const { return folder_ + "/" + of + "/run"; }
  std::string Socket(const std::string& of) const { return Run(of) + "/catamaran.sock"; }
  std::string Config() const { return folder_ + "/config.yaml"; }
  Daemon::Options Options(std::vector<std::string> flags = {}) const {
    return {Config(), folder_ + "/log", {}, std::move(flags)};
  }
  std::vector<std::string> Flags() const {
    return {"--listen",  "unix://" + Socket("flags"), "--root", Root("flags"), "--run",
            Run("flags")};
  }

 private:
  std::string folder_;
};

// A service manager's socket: systemd's protocol is one datagram per word (sd_notify(3)).
class ServiceManager {
 public:
  // "@name" is an abstract socket.
  explicit ServiceManager(const std::string& name)
      : socket_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, name.data(), name.size());
    if (name[0] == '@') address.sun_path[0] = '\0';
    const socklen_t length = offsetof(sockaddr_un, sun_path) + name.size();
    EXPECT_EQ(bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), length), 0)
        << strerror(errno);
  }
  // The next word; "" where none comes in time.
  std::string Next() {
    pollfd waiting{socket_.get(), POLLIN, 0};
    char word[256];
    if (poll(&waiting, 1, 30'000) <= 0) return "";
    const ssize_t size = recv(socket_.get(), word, sizeof word, 0);
    return {word, static_cast<size_t>(std::max<ssize_t>(size, 0))};
  }

 private:
  UniqueFd socket_;
};

TEST_F(ServeTest, FlagsWinOverTheFile) {
  Daemon daemon(Options(Flags()));
  auto started = daemon.Start();  // returns when it said so on --ready-fd
  ASSERT_TRUE(started) << started.error().message;
  EXPECT_TRUE(Exists(Socket("flags")));
  EXPECT_TRUE(Exists(Root("flags") + "/images"));
  EXPECT_FALSE(Exists(Socket("file")));
  EXPECT_FALSE(Exists(Root("file") + "/images"));
  EXPECT_TRUE(CriClient("unix://" + Socket("flags")).Version({}).ok());
  EXPECT_EQ(daemon.Terminate(), 0);
}

TEST_F(ServeTest, WithoutFlagsTheFileHolds) {
  Daemon daemon(Options());
  auto started = daemon.Start();
  ASSERT_TRUE(started) << started.error().message;
  EXPECT_TRUE(Exists(Socket("file")));
  EXPECT_TRUE(Exists(Root("file") + "/images"));
  EXPECT_EQ(daemon.Terminate(), 0);
}

TEST_F(ServeTest, TellsSystemdWhenItServesAndWhenItEnds) {
  for (const std::string& name :
       {Run("flags") + "/notify", "@catamaran-e2e-" + std::to_string(getpid())}) {
    ServiceManager manager(name);
    Daemon daemon(Options(Flags()));
    auto started = daemon.Start({"NOTIFY_SOCKET=" + name});
    ASSERT_TRUE(started) << started.error().message;
    EXPECT_EQ(manager.Next(), "READY=1");
    EXPECT_TRUE(CriClient("unix://" + Socket("flags")).Version({}).ok());
    EXPECT_EQ(daemon.Terminate(), 0);
    EXPECT_EQ(manager.Next(), "STOPPING=1");
  }
}

}  // namespace
}  // namespace catamaran::e2e
