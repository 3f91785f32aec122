// What a VMM could do that its guest has taken over: this program itself is started as one,
// confined as QEMU is, and tries. Without the confinement each attack must succeed, or it would
// show nothing.
#include "vm-backend/host/vmm_confinement.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <map>

#include "vm-backend/host/qemu_confinement.h"
#include "vm-backend/host/vm_test_util.h"
#include "vm-backend/host/vmm_process.h"

namespace catamaran {
namespace {

namespace fs = std::filesystem;

// ---- In the confined process ----

int OutcomeOf(int result) { return result >= 0 ? 0 : errno; }

int Connect(const std::string& port) {
  const UniqueFd peer(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = static_cast<in_port_t>(std::stoi(port));
  return OutcomeOf(connect(peer.get(), reinterpret_cast<sockaddr*>(&address), sizeof address));
}

int CountFolder(const std::string& path) {
  return static_cast<int>(std::distance(fs::directory_iterator(path), {}));
}

// Each takes one argument and returns an errno, 0 for success.
const std::map<std::string, int (*)(const std::string&)> kAttacks = {
    {"open", [](const std::string& path) { return OutcomeOf(open(path.c_str(), O_RDONLY)); }},
    {"write", [](const std::string& path) { return OutcomeOf(open(path.c_str(), O_WRONLY)); }},
    {"signal", [](const std::string& pid) { return OutcomeOf(kill(std::stoi(pid), 0)); }},
    {"connect", Connect},
    {"mount",
     [](const std::string& path) {
       return OutcomeOf(mount("none", path.c_str(), "tmpfs", 0, nullptr)) == 0
                  ? OutcomeOf(umount(path.c_str()))
                  : errno;
     }},
    {"become-root", [](const std::string&) { return OutcomeOf(setresuid(0, 0, 0)); }},
    {"make-device",
     [](const std::string& path) {
       return OutcomeOf(mknod(path.c_str(), S_IFCHR | 0600, makedev(1, 3)));
     }},
};

int RunAttack(const std::string& name, const std::string& argument) {
  // Not errnos: how the process finds itself.
  if (name == "user") return getuid() == static_cast<uid_t>(std::stoul(argument)) ? 0 : 1;
  if (name == "pid") return getpid() == std::stoi(argument) ? 0 : 1;
  if (name == "root-entries") return CountFolder("/");
  if (name == "descriptors") {
    int open_ones = 0;
    for (int fd = 0; fd < 1024; ++fd) open_ones += fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
    return open_ones;
  }
  return kAttacks.at(name)(argument);
}

// ---- The test ----

class ConfinedVmm : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(getuid(), 0u) << "run as root";
    loop_ = *EventLoop::Create();
    char name[] = "/tmp/vmm_confinement.XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder_ = name;
    chmod(folder_.c_str(), 0777);
    std::ofstream(folder_ / "secret") << "not shared";
    chmod((folder_ / "secret").c_str(), 0666);
  }
  void TearDown() override {
    if (!folder_.empty()) fs::remove_all(folder_);
  }

  // As QEMU's, with this program in its place.
  VmmConfinement LikeQemu() const {
    QemuMachine machine;
    machine.qemu = "/usr/bin/qemu-system-x86_64";
    machine.boot = QemuMachine::Boot::kIncoming;
    VmmConfinement confinement = QemuConfinement(machine);
    confinement.shown.push_back({Self(), "/vmm"});
    if (!shown_.empty()) confinement.shown.push_back({shown_, shown_});
    confinement.user = *VmmUser();
    return confinement;
  }
  static std::string Self() { return fs::read_symlink("/proc/self/exe"); }

  int Run(const std::optional<VmmConfinement>& confinement, const std::string& attack,
          const std::string& argument) {
    VmmCommand command;
    command.arguments = {confinement ? "/vmm" : Self(), "--attack", attack, argument};
    command.confinement = confinement;
    std::optional<ProcessEnd> end;
    const auto process =
        VmmProcess::Start(*loop_, command, [&end](ProcessEnd ended) { end = ended; });
    EXPECT_TRUE(process) << process.error().message;
    EXPECT_TRUE(RunUntil(*loop_, [&end] { return end.has_value(); }));
    return end ? end->exit_code : -1;
  }

  // The attack works for a child that is not confined, and not for one that is.
  void ExpectStopped(const std::string& attack, const std::string& argument) {
    EXPECT_EQ(Run(std::nullopt, attack, argument), 0) << attack << " shows nothing";
    const int outcome = Run(LikeQemu(), attack, argument);
    EXPECT_NE(outcome, 0) << attack << " " << argument;
    EXPECT_NE(outcome, 127) << "it was not even started";
  }

  std::unique_ptr<EventLoop> loop_;
  fs::path folder_;
  std::string shown_;  // a folder of the host that it sees besides
};

TEST_F(ConfinedVmm, OpensNoFileOfTheHost) {
  ExpectStopped("open", folder_ / "secret");
  ExpectStopped("open", "/etc/passwd");
  ExpectStopped("open", "/proc/self/status");
  ExpectStopped("open", "/sys/kernel");
  ExpectStopped("open", "/dev/null");
}

TEST_F(ConfinedVmm, WritesToNothingThatItIsShown) {
  // Permissions would let it: user and mode of these allow everybody everything.
  shown_ = folder_;
  EXPECT_EQ(Run(LikeQemu(), "open", folder_ / "secret"), 0) << "it is shown";
  ExpectStopped("write", folder_ / "secret");
  EXPECT_EQ(Run(std::nullopt, "make-device", folder_ / "device"), 0);
  EXPECT_NE(Run(LikeQemu(), "make-device", folder_ / "another"), 0);
  EXPECT_FALSE(Exists(folder_ / "another"));
}

TEST_F(ConfinedVmm, ReachesNoOtherProcess) { ExpectStopped("signal", std::to_string(getpid())); }

TEST_F(ConfinedVmm, ReachesNoNetwork) {
  const UniqueFd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
  ASSERT_EQ(listen(listener.get(), 4), 0);
  ASSERT_EQ(getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
  ExpectStopped("connect", std::to_string(address.sin_port));
}

TEST_F(ConfinedVmm, GainsNoPrivilege) {
  ExpectStopped("become-root", "");
  shown_ = folder_;
  ExpectStopped("mount", folder_);
}

TEST_F(ConfinedVmm, IsAUserOfItsOwnAndTheOnlyProcess) {
  EXPECT_EQ(Run(LikeQemu(), "user", std::to_string(0x70000000u + getpid())), 0);
  EXPECT_EQ(Run(LikeQemu(), "pid", "1"), 0);
}

TEST_F(ConfinedVmm, GetsNoDescriptorButItsOwn) {
  const UniqueFd of_the_shim(fcntl(0, F_DUPFD, 100));  // not closed by exec
  ASSERT_TRUE(of_the_shim.valid());
  EXPECT_EQ(Run(LikeQemu(), "descriptors", ""), 3) << "the three standard streams";
}

TEST_F(ConfinedVmm, SeesLibrariesAndItsProgramOnly) {
  const int entries = Run(LikeQemu(), "root-entries", "");
  EXPECT_GE(entries, 3);
  EXPECT_LE(entries, 6) << "/etc /lib /lib32 /lib64 /usr /vmm";
}

TEST_F(ConfinedVmm, DiesWithItsShimAlthoughItsUserChanged) {
  Pipe alive = MakePipe().value();
  auto shim = CloneProcess({}, [&] {
    auto loop = *EventLoop::Create();
    VmmCommand command;
    command.arguments = {"/vmm", "--stay"};
    command.confinement = LikeQemu();
    command.descriptors = {{3, alive.write_end.get()}};
    const auto vmm = VmmProcess::Start(*loop, command, [](ProcessEnd) {});
    if (!vmm) return 1;
    while (true) pause();
    return 0;
  });
  ASSERT_TRUE(shim);
  alive.write_end.Reset();
  char byte;
  ASSERT_EQ(read(alive.read_end.get(), &byte, 1), 1) << "the VMM says that it runs";
  ASSERT_TRUE(KillAndReap(shim->pidfd.get()));
  // The end of the file comes when the last writer is gone.
  EXPECT_EQ(read(alive.read_end.get(), &byte, 1), 0);
}

TEST(VmmUsers, ComeFromSubuidOrFromAnUnusedRange) {
  EXPECT_EQ(ParseUserRange("")->first, 0x70000000u);
  EXPECT_EQ(ParseUserRange("root:100000:65536\n")->count, 1u << 22);
  const auto configured = ParseUserRange("root:1:2\ncatamaran:200000:5000000\n");
  ASSERT_TRUE(configured) << configured.error().message;
  EXPECT_EQ(configured->first, 200000u);
  EXPECT_EQ(configured->count, 5000000u);
}

TEST(VmmUsers, AreRefusedWhereTheirLineCannotBeRight) {
  for (const char* line : {"catamaran:x:65536", "catamaran:100000:", "catamaran:100000",
                           "catamaran:0:65536", "catamaran:4294967295:2", "catamaran:-1:5"}) {
    const auto range = ParseUserRange(line);
    ASSERT_FALSE(range) << line;
    EXPECT_EQ(range.error().code, ErrorCode::kInvalidArgument) << line;
    EXPECT_NE(range.error().message.find("/etc/subuid"), std::string::npos) << line;
  }
}

TEST(VmmUsers, DifferBetweenProcesses) {
  const uint32_t here = *VmmUser();
  auto other = CloneProcess({}, [here] { return *VmmUser() == here ? 1 : 0; });
  ASSERT_TRUE(other);
  siginfo_t end{};
  ASSERT_EQ(waitid(P_PIDFD, other->pidfd.get(), &end, WEXITED), 0);
  EXPECT_EQ(end.si_status, 0);
}

}  // namespace
}  // namespace catamaran

int main(int argc, char** argv) {
  const std::string_view first = argc > 1 ? argv[1] : "";
  if (first == "--attack" && argc == 4) return catamaran::RunAttack(argv[2], argv[3]);
  if (first == "--stay") {
    [[maybe_unused]] const ssize_t said = write(3, "x", 1);
    while (true) pause();
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
