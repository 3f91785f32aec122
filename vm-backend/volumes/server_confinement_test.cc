// What a volume server could do that its guest has taken over. Each attack is first carried out
// with no defence, where it must succeed, then against each defence alone that is said to stop it.
#include "vm-backend/volumes/server_confinement.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>

#include "sandbox/base/files.h"
#include "sandbox/kernel/process.h"
#include "sandbox/kernel/unix_socket.h"
#include "vm-backend/volumes/guest_credentials.h"
#include "vm-backend/volumes/volume_server.h"

namespace catamaran {
namespace {

namespace fs = std::filesystem;

constexpr auto kNamespaces = ServerDefence::kNamespaces;
constexpr auto kRoot = ServerDefence::kRoot;
constexpr auto kCapabilities = ServerDefence::kCapabilities;
constexpr auto kSystemCalls = ServerDefence::kSystemCalls;

int OutcomeOf(int result) { return result >= 0 ? 0 : errno; }

// A folder of the host, a volume in it, and a secret beside the volume.
struct Host {
  fs::path folder;
  UniqueFd volume;
  alignas(file_handle) char handle[sizeof(file_handle) + MAX_HANDLE_SZ] = {};
  UniqueFd listener;
  sockaddr_in address{};
  pid_t test = getpid();

  file_handle* secret_handle() { return reinterpret_cast<file_handle*>(handle); }
};

struct Attack {
  const char* name;
  int (*carry_out)(Host& host);  // errno, 0 where it succeeded
  std::vector<ServerDefence> stopped_by;
};

int OpenByName(Host& host) { return OutcomeOf(open((host.folder / "secret").c_str(), O_RDONLY)); }
int ClimbFromTheWorkingFolder(Host&) {
  return OutcomeOf(open("../../sys/kernel/pid_max", O_RDONLY));
}
int OpenByHandle(Host& host) {
  return OutcomeOf(open_by_handle_at(host.volume.get(), host.secret_handle(), O_RDONLY));
}
int SignalTheShim(Host& host) { return OutcomeOf(kill(host.test, 0)); }
int MakeADevice(Host& host) {
  return OutcomeOf(mknodat(host.volume.get(), "disk", S_IFCHR | 0600, makedev(1, 3)));
}
int ConnectToTheNode(Host& host) {
  const UniqueFd peer(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!peer.valid()) return errno;
  return OutcomeOf(
      connect(peer.get(), reinterpret_cast<sockaddr*>(&host.address), sizeof host.address));
}
int RunAProgram(Host&) {
  execl("/bin/true", "true", nullptr);
  return errno;
}
int MakeMemoryExecutable(Host&) {
  void* page = mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return page == MAP_FAILED ? errno : 0;
}
int BecomeAnother(Host&) { return OutcomeOf(setresuid(0, 12345, 0)); }

const Attack kAttacks[] = {
    {"OpensAHostFileByItsName", OpenByName, {kRoot}},
    {"ClimbsFromItsWorkingFolder", ClimbFromTheWorkingFolder, {kRoot}},
    {"OpensAHostFileByItsHandle", OpenByHandle, {kNamespaces, kCapabilities, kSystemCalls}},
    {"SignalsTheShim", SignalTheShim, {kNamespaces, kSystemCalls}},
    {"MakesADevice", MakeADevice, {kNamespaces, kCapabilities}},
    {"ConnectsToTheNode", ConnectToTheNode, {kNamespaces, kSystemCalls}},
    {"RunsAProgram", RunAProgram, {kRoot, kSystemCalls}},
    {"MakesMemoryExecutable", MakeMemoryExecutable, {kSystemCalls}},
    {"BecomesAnotherUser", BecomeAnother, {kSystemCalls}},
};

class ServerConfinement : public testing::TestWithParam<Attack> {
 protected:
  void SetUp() override {
    ASSERT_EQ(getuid(), 0u) << "run as root";
    char name[] = "/tmp/server_confinement.XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    host_.folder = name;
    fs::create_directory(host_.folder / "volume");
    std::ofstream(host_.folder / "secret") << "not shared";
    host_.volume = OpenFile(host_.folder / "volume", O_RDONLY | O_DIRECTORY).value();
    host_.secret_handle()->handle_bytes = MAX_HANDLE_SZ;
    int mount = 0;
    ASSERT_EQ(name_to_handle_at(AT_FDCWD, (host_.folder / "secret").c_str(), host_.secret_handle(),
                                &mount, 0),
              0);
    host_.listener.Reset(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    host_.address.sin_family = AF_INET;
    host_.address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* address = reinterpret_cast<sockaddr*>(&host_.address);
    socklen_t length = sizeof host_.address;
    ASSERT_EQ(bind(host_.listener.get(), address, length), 0);
    ASSERT_EQ(listen(host_.listener.get(), 16), 0);
    ASSERT_EQ(getsockname(host_.listener.get(), address, &length), 0);
  }
  void TearDown() override {
    if (!host_.folder.empty()) fs::remove_all(host_.folder);
  }

  // Runs `body` as a volume server with these defences; its value, or 200 where they failed.
  int Run(uint32_t defences, const std::function<int(Host&)>& body) {
    Pipe go = MakePipe().value();
    const uint64_t namespaces = ServerNamespaces(defences, /*user_namespace=*/true);
    auto child = CloneProcess({.namespaces = namespaces, .dies_with_parent = true}, [&] {
      char told;
      go.write_end.Reset();
      if (read(go.read_end.get(), &told, 1) != 1 || !ConfineServer(defences)) return 200;
      return body(host_);
    });
    EXPECT_TRUE(child) << child.error().message;
    if (namespaces & CLONE_NEWUSER) {
      const auto mapped = MapAllUsers(child->pid);
      EXPECT_TRUE(mapped) << mapped.error().message;
    }
    EXPECT_TRUE(WriteAll(go.write_end.get(), "g"));
    siginfo_t end{};
    EXPECT_EQ(waitid(P_PIDFD, child->pidfd.get(), &end, WEXITED), 0);
    EXPECT_EQ(end.si_code, CLD_EXITED) << "signal " << end.si_status;
    fs::remove(host_.folder / "volume/disk");
    return end.si_status;
  }

  Host host_;
};

TEST_P(ServerConfinement, IsStoppedByEachOfTheseAlone) {
  const Attack& attack = GetParam();
  ASSERT_EQ(Run(0, attack.carry_out), 0) << "the attack does not work undefended: it shows nothing";
  for (const ServerDefence one : attack.stopped_by) {
    const int outcome = Run(static_cast<uint32_t>(one), attack.carry_out);
    EXPECT_NE(outcome, 0) << "defence " << static_cast<uint32_t>(one);
    EXPECT_NE(outcome, 200) << "defence " << static_cast<uint32_t>(one);
  }
  const int outcome = Run(kAllServerDefences, attack.carry_out);
  EXPECT_NE(outcome, 0);
  EXPECT_NE(outcome, 200);
}

INSTANTIATE_TEST_SUITE_P(Attacks, ServerConfinement, testing::ValuesIn(kAttacks),
                         [](const auto& info) { return std::string(info.param.name); });

class ConfinedServer : public ServerConfinement {};
INSTANTIATE_TEST_SUITE_P(Work, ConfinedServer,
                         testing::Values(Attack{"InAllDefences", nullptr, {}}));

TEST_P(ConfinedServer, StillGivesFilesToAnyUserAndReadsThoseOfOthers) {
  std::ofstream(host_.folder / "volume/theirs") << "x";
  ASSERT_EQ(chown((host_.folder / "volume/theirs").c_str(), 4000, 4000), 0);
  ASSERT_EQ(chmod((host_.folder / "volume/theirs").c_str(), 0600), 0);
  EXPECT_EQ(Run(kAllServerDefences,
                [](Host& host) {
                  {
                    const GuestCredentials guest(1234, 2345, 0);
                    const UniqueFd made(
                        openat(host.volume.get(), "new", O_WRONLY | O_CREAT | O_EXCL, 0600));
                    if (!made.valid()) return errno;
                  }
                  const UniqueFd path(openat(host.volume.get(), "theirs", O_PATH | O_NOFOLLOW));
                  // The way in which an inode is opened again: through the working folder.
                  const UniqueFd again(open(std::to_string(path.get()).c_str(), O_RDWR));
                  if (!again.valid()) return errno;
                  return fchownat(path.get(), "", 70000, 70000, AT_EMPTY_PATH) == 0 ? 0 : errno;
                }),
            0);
  struct stat status;
  ASSERT_EQ(stat((host_.folder / "volume/new").c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, 1234u);
  EXPECT_EQ(status.st_gid, 2345u);
  ASSERT_EQ(stat((host_.folder / "volume/theirs").c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, 70000u);
}

// Some hosts forbid user namespaces, or have used them up.
TEST(VolumeServerWithoutAUserNamespace, IsConfinedByTheRest) {
  ASSERT_EQ(getuid(), 0u) << "run as root";
  char folder[] = "/tmp/server_confinement.XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  Pipe go = MakePipe().value();
  // The limit is one of each user namespace: this child lowers its own, not the machine's.
  const CloneOptions options{.namespaces = CLONE_NEWUSER | CLONE_NEWNS, .dies_with_parent = true};
  auto shim = CloneProcess(options, [&] {
    char told;
    go.write_end.Reset();
    if (read(go.read_end.get(), &told, 1) != 1) return 1;
    if (!WriteExisting("/proc/sys/user/max_user_namespaces", "0")) return 2;
    if (CloneProcess({.namespaces = CLONE_NEWUSER}, [] { return 0; })) return 3;
    auto loop = EventLoop::Create().value();
    auto sockets = MakeSocketPair(SOCK_STREAM).value();
    const auto server = VolumeServer::Start(*loop, std::move(sockets.ours), {});
    if (!server) return 4;
    std::optional<Result<std::string>> added;
    (*server)->AddVolume({HostPath(folder), false, false},
                         [&](Result<std::string> answer) { added = std::move(answer); });
    for (int i = 0; i < 600 && !added; ++i) (void)loop->RunOnce(std::chrono::milliseconds(100));
    return added && *added ? 0 : 5;
  });
  ASSERT_TRUE(shim) << shim.error().message;
  ASSERT_TRUE(MapAllUsers(shim->pid));
  ASSERT_TRUE(WriteAll(go.write_end.get(), "g"));
  siginfo_t end{};
  EXPECT_EQ(waitid(P_PIDFD, shim->pidfd.get(), &end, WEXITED), 0);
  EXPECT_EQ(end.si_status, 0);
  fs::remove_all(folder);
}

}  // namespace
}  // namespace catamaran
