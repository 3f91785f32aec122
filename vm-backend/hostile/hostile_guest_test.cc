// A machine whose kernel and agent are an attacker's, and what the host notices of it.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "sandbox/kernel/unix_socket.h"
#include "vm-backend/host/qemu_launch.h"
#include "vm-backend/host/qemu_template.h"
#include "vm-backend/host/vm_test_util.h"
#include "vm-backend/volumes/served_volumes.h"

namespace catamaran {
namespace {

namespace fs = std::filesystem;

constexpr char kSecret[] = "not shared\n";
constexpr char kOwn[] = "the volume's own\n";
// What a flood gets out at the least, however slow or busy the host is. Each byte of the console is
// a trap into the emulator, so there it is less, and still eight times what the host keeps of it.
constexpr size_t kLeastFlood = 1 << 20;
constexpr size_t kConsoleFlood = 128 << 10;
// What this process, in place of a shim, and its volume server may grow by while their guest floods
// them.
constexpr size_t kMostGrowth = 48 << 20;

size_t ResidentBytes(const std::string& process) {
  std::ifstream statm("/proc/" + process + "/statm");
  size_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident * 4096;
}

// Of those that read what a guest sends: this process and its volume servers.
size_t ReceiversBytes() {
  size_t bytes = ResidentBytes("self");
  std::ifstream children(fmt::format("/proc/self/task/{}/children", getpid()));
  for (std::string child; children >> child;)
    if (ReadFile("/proc/" + child + "/comm").value_or("") == "catamaran-vols\n")
      bytes += ResidentBytes(child);
  return bytes;
}

// One machine per test, with a volume and a read-only disk; a secret lies beside the volume.
class HostileGuest : public testing::Test {
 protected:
  void SetUp() override {
    loop_ = *EventLoop::Create();
    pod_ = std::make_unique<VmPod>(*loop_, [this](const spec::SandboxSpec& host, UniqueFd channel) {
      return MakeServedVolumes(*loop_, std::move(channel), host.guest().volume_secret(),
                               [this] { volumes_lost_ = true; });
    });
    host_ = pod_->folder() / "host";
    fs::create_directories(host_ / "volume/below");
    fs::create_directories(host_ / "outside");
    std::ofstream(host_ / "secret") << kSecret;
    std::ofstream(host_ / "outside/secret") << kSecret;
    image_ = pod_->folder() / "image";
    std::ofstream(image_) << std::string(1 << 20, 'i');
  }

  spec::SandboxSpec Hostile() const {
    auto sandbox = pod_->MachineSandbox();
    sandbox.mutable_machine()->set_initramfs(BuildFolder() / "hostile-guest" / "initramfs.img");
    sandbox.mutable_machine()->clear_writable_disk();
    return sandbox;
  }
  // Its volume is "0", its disk "image-1".
  void Boot() { Boot(Hostile()); }
  void Boot(const spec::SandboxSpec& sandbox) {
    const auto made = pod_->Create(sandbox);
    ASSERT_TRUE(made) << made.error().message;
    details_ = {made->details().begin(), made->details().end()};
    pod::CreateContainerRequest request;
    auto& container = *request.mutable_container();
    container.set_container_id("c");
    container.mutable_process()->add_args("stay");
    container.mutable_rootfs()->set_merged_metadata(image_);
    container.mutable_rootfs()->set_merged_metadata_bytes(1 << 20);
    auto& mount = *container.add_mounts();
    mount.set_container_path("/volume");
    mount.set_host_path(host_ / "volume");
    const auto created = Await<pod::CreateContainerResponse>(*loop_, [&](auto done) {
      pod_->backend().CreateContainer(request, Stdio(), std::move(done));
    });
    ASSERT_TRUE(created) << created.error().message;
    pod::StartContainerRequest start;
    start.set_container_id("c");
    const auto started = Await<pod::StartContainerResponse>(
        *loop_, [&](auto done) { pod_->backend().StartContainer(start, std::move(done)); });
    ASSERT_TRUE(started) << started.error().message;
  }

  bool Ended(const std::string& exec) const {
    for (const pod::Event& event : pod_->events)
      if (event.has_failed() || (event.has_exited() && event.exited().process().exec_id() == exec))
        return true;
    return false;
  }
  // Has the guest carry out an attack; its report, as far as it came.
  std::string Attack(const std::vector<std::string>& words) {
    auto pipe = *MakePipe();
    EXPECT_TRUE(SetNonBlocking(pipe.read_end.get()));
    Stdio stdio;
    stdio.out = std::move(pipe.write_end);
    pod::ExecRequest request;
    request.set_container_id("c");
    request.set_exec_id("attack-" + std::to_string(++attacks_));
    for (const std::string& word : words) request.add_args(word);
    const auto started = Await<pod::ExecResponse>(*loop_, [&](auto done) {
      pod_->backend().Exec(request, std::move(stdio), std::move(done));
    });
    EXPECT_TRUE(started) << started.error().message;
    std::string report;
    const bool ended = RunUntil(*loop_, [&] {
      char buffer[65536];
      for (ssize_t count; (count = read(pipe.read_end.get(), buffer, sizeof buffer)) > 0;)
        report.append(buffer, static_cast<size_t>(count));
      most_resident_ = std::max(most_resident_, ReceiversBytes());
      return Ended(request.exec_id());
    });
    EXPECT_TRUE(ended) << words[0] << " goes on: " << report;
    return report;
  }
  // The results of all lines about this.
  static std::vector<std::string> Results(const std::string& report, const std::string& what) {
    std::vector<std::string> results;
    std::istringstream lines(report);
    for (std::string line; std::getline(lines, line);)
      if (line.starts_with(what)) results.push_back(line.substr(line.rfind(' ') + 1));
    return results;
  }
  static void ExpectRefused(const std::string& report, const std::string& what) {
    const auto results = Results(report, what);
    EXPECT_FALSE(results.empty()) << what << " was not tried: " << report;
    for (const std::string& result : results) EXPECT_NE(result, "ok") << what << "\n" << report;
  }

  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<VmPod> pod_;
  fs::path host_, image_;
  std::map<std::string, std::string> details_;
  bool volumes_lost_ = false;
  int attacks_ = 0;
  size_t most_resident_ = 0;
};

TEST_F(HostileGuest, ReachesNoFileBesideItsVolumeByAnyRequest) {
  ASSERT_NO_FATAL_FAILURE(Boot());
  // What a server that believed such names would do with them.
  const auto volume = *OpenFile(host_ / "volume", O_PATH | O_DIRECTORY);
  EXPECT_TRUE(OpenFileAt(volume.get(), "../secret", O_RDONLY));
  EXPECT_TRUE(OpenFileAt(volume.get(), host_ / "secret", O_RDONLY));
  const std::string report = Attack({"fuse-names", "0", host_ / "secret"});
  EXPECT_EQ(Results(report, "volume"), std::vector<std::string>{"ok"}) << report;
  for (const char* what : {"lookup:", "root-lookup:", "unlink:", "mkdir:", "below-link",
                           "open-link", "open-forged", "read-forged"})
    ExpectRefused(report, what);
  EXPECT_EQ(Results(report, "read-link"), std::vector<std::string>{"nothing"});
  EXPECT_EQ(*ReadFile(host_ / "secret"), kSecret);
  EXPECT_FALSE(volumes_lost_);
}

TEST_F(HostileGuest, WinsNoRaceOfAFolderAgainstASymlink) {
  ASSERT_NO_FATAL_FAILURE(Boot());
  fs::create_directory(host_ / "volume/folder");
  std::ofstream(host_ / "volume/folder/secret") << kOwn;
  fs::create_directory_symlink(host_ / "outside", host_ / "volume/link");
  fs::create_directory_symlink(host_ / "outside", host_ / "volume/swap");
  // As another pod with the same volume would: one name is a folder, then a link, then a folder.
  std::atomic<bool> over = false;
  std::atomic<int> swaps = 0;
  std::thread other([&] {
    for (; !over; ++swaps) {
      renameat2(AT_FDCWD, (host_ / "volume/folder").c_str(), AT_FDCWD,
                (host_ / "volume/swap").c_str(), RENAME_EXCHANGE);
      usleep(200);
    }
  });
  // A server that resolves the whole path is beaten at once.
  bool beaten = false;
  for (int i = 0; i < 100000 && !beaten; ++i) {
    const auto content = ReadFile(host_ / "volume/swap/secret");
    beaten = content && *content == kSecret;
  }
  EXPECT_TRUE(beaten) << "the race shows nothing";
  const std::string report = Attack({"fuse-race", "0", "300"});
  over = true;
  other.join();
  EXPECT_TRUE(Results(report, "saw").empty()) << report;
  EXPECT_EQ(Results(report, "own").size(), 1u) << report;
  EXPECT_NE(Results(report, "own"), std::vector<std::string>{"0"}) << "never got there: " << report;
  EXPECT_GT(swaps, 0);
}

TEST_F(HostileGuest, WritesToItsReadOnlyDiskByNoMeans) {
  ASSERT_NO_FATAL_FAILURE(Boot());
  const std::string before = *ReadFile(image_);
  const std::string report = Attack({"write-disk", "image-1"});
  EXPECT_EQ(Results(report, "device").size(), 1u) << report;
  for (const char* what : {"write", "discard", "zero-out", "scsi-write"})
    ExpectRefused(report, what);
  EXPECT_TRUE(*ReadFile(image_) == before);
}

// The same attack where the host lets it: the defence is the host's alone, not the guest's flag.
TEST_F(HostileGuest, WouldWriteToADiskThatTheHostOpenedForWriting) {
  auto sandbox = Hostile();
  sandbox.mutable_machine()->set_writable_disk(image_);
  ASSERT_NO_FATAL_FAILURE(Boot(sandbox));
  const std::string report = Attack({"write-disk", "writable"});
  EXPECT_EQ(Results(report, "scsi-write"), std::vector<std::string>{"ok"}) << report;
  EXPECT_EQ(Results(report, "write"), std::vector<std::string>{"ok"}) << report;
}

TEST_F(HostileGuest, FloodsItsChannelsAndNobodyElseWaits) {
  ASSERT_NO_FATAL_FAILURE(Boot());
  // Another pod: an agent as a process of this host, behind the same loop.
  VmPod neighbour(*loop_);
  auto sandbox = neighbour.MachineSandbox();
  sandbox.mutable_machine()->set_launcher(spec::MachineSpec::PROCESS);
  const auto made = neighbour.Create(sandbox);
  ASSERT_TRUE(made) << made.error().message;
  int answers = 0;
  bool asking = false;
  EventLoop::Watch timer;
  std::function<void()> ask = [&] {
    auto again = loop_->RunAfter(std::chrono::milliseconds(100), ask);
    if (again) timer = std::move(*again);
    if (std::exchange(asking, true)) return;
    neighbour.backend().List([&](Result<pod::ListResponse> list) {
      asking = false;
      answers += list && list->sandbox_ready() ? 1 : 0;
    });
  };
  ask();
  const size_t before = ReceiversBytes();
  most_resident_ = before;
  for (const auto& flood : std::vector<std::vector<std::string>>{
           {"flood-console", "128"}, {"fuse-flood", "0"}, {"flood-agent", "65536"}}) {
    const int answers_before = answers;
    const std::string report = Attack(flood);
    EXPECT_GT(answers, answers_before) << flood[0] << " kept another pod waiting";
    // The last ends the channel of its report.
    if (flood[0] != "flood-agent") {
      const auto sent = Results(report, "sent");
      ASSERT_EQ(sent.size(), 1u) << flood[0] << " " << report;
      EXPECT_GE(std::stoul(sent[0]), flood[0] == "flood-console" ? kConsoleFlood : kLeastFlood)
          << flood[0];
    }
    EXPECT_LT(most_resident_, before + kMostGrowth) << flood[0] << " " << report;
  }
  timer.Cancel();
  ASSERT_TRUE(RunUntil(*loop_, [&] { return !asking; }));
  // Noise on the agent's channel ends this pod, and with a reason.
  ASSERT_TRUE(
      RunUntil(*loop_, [&] { return !pod_->events.empty() && pod_->events.back().has_failed(); }));
  EXPECT_NE(pod_->events.back().failed().reason(), "");
  EXPECT_TRUE(neighbour.Destroy());
}

TEST_F(HostileGuest, AMalformedRequestLosesItsPlaceInItsOwnChannelOnly) {
  ASSERT_NO_FATAL_FAILURE(Boot());
  Attack({"fuse-malformed", "4294967295"});
  // The server looks for the next session in whatever comes, and serves that.
  const std::string report = Attack({"fuse-names", "0", host_ / "secret"});
  EXPECT_EQ(Results(report, "volume"), std::vector<std::string>{"ok"}) << report;
  EXPECT_FALSE(volumes_lost_);
  const auto list =
      Await<pod::ListResponse>(*loop_, [&](auto done) { pod_->backend().List(std::move(done)); });
  ASSERT_TRUE(list) << list.error().message;
  EXPECT_TRUE(list->sandbox_ready());
}

// Clones of one template: of a hostile guest, so that the first to be cloned attacks the next.
class HostileClone : public HostileGuest {
 protected:
  void SetUp() override {
    HostileGuest::SetUp();
    maker_ = MakeQemuTemplateMaker(*loop_);
    TemplateKeeper::Options options;
    options.root = HostPath(pod_->folder() / "templates");
    keeper_ = std::make_unique<TemplateKeeper>(*loop_, *maker_, std::move(options));
    auto listener = ListenUnix(pod_->folder() / "socket", SOCK_SEQPACKET);
    ASSERT_TRUE(listener) << listener.error().message;
    ASSERT_TRUE(keeper_->Serve(std::move(*listener)));
  }
  spec::SandboxSpec Clone() const {
    auto sandbox = Hostile();
    sandbox.mutable_machine()->set_use_template(true);
    sandbox.mutable_machine()->set_template_socket(pod_->folder() / "socket");
    return sandbox;
  }
  std::string KeptTemplate() const {
    const auto names = ListDirectory(pod_->folder() / "templates");
    for (const std::string& name : names ? *names : std::vector<std::string>())
      if (!name.ends_with(".new")) return name;
    return "";
  }
  // The first asks for one and boots.
  void MakeTemplate() {
    VmPod first(*loop_);
    ASSERT_TRUE(first.Create(Clone()));
    ASSERT_TRUE(RunUntil(*loop_, [&] { return !KeptTemplate().empty(); }));
  }
  // A copy that nothing protects.
  Template Copy() const {
    Template copy{*MakeTemplateFile("memory", 256 << 20), *MakeTemplateFile("state", 0)};
    EXPECT_TRUE(LoadTemplate(HostPath(pod_->folder() / "templates"), KeptTemplate(), copy));
    return copy;
  }

  std::unique_ptr<TemplateMaker> maker_;
  std::unique_ptr<TemplateKeeper> keeper_;
};

TEST_F(HostileClone, LeavesTheTemplateAndTheNextCloneAsTheyWere) {
  ASSERT_NO_FATAL_FAILURE(MakeTemplate());
  ASSERT_NO_FATAL_FAILURE(Boot(Clone()));
  ASSERT_EQ(details_.at("start"), "restored");
  const std::string report = Attack({"fill-memory"});
  EXPECT_NE(Results(report, "filled"), std::vector<std::string>{"0"}) << report;
  EXPECT_EQ(Results(report, "balloon"), std::vector<std::string>{"none"}) << report;
  const auto shared =
      OpenFile(fmt::format("/proc/{}/fd/{}", details_.at("vmm_pid"), static_cast<int>(kQemuMemory)),
               O_RDONLY);
  ASSERT_TRUE(shared) << shared.error().message;
  EXPECT_EQ(*DigestOf(shared->get()), *DigestOf(Copy().memory.get()));
  VmPod next(*loop_);
  const auto made = next.Create(Clone());
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->details().at("start"), "restored");
}

// What the private mapping and the seals are for: a machine on shared memory changes it by running.
TEST_F(HostileClone, WouldChangeATemplateThatItSharesAndThatIsNotSealed) {
  ASSERT_NO_FATAL_FAILURE(MakeTemplate());
  const Template copy = Copy();
  const std::string before = *DigestOf(copy.memory.get());
  QemuStart start;
  const auto machine = ResolveMachine(Clone(), ExamineHost());
  ASSERT_TRUE(machine) << machine.error().message;
  start.machine = *machine;
  start.machine.boot = QemuMachine::Boot::kIncoming;
  start.machine.memory = QemuMachine::Memory::kTemplateShared;
  start.memory = copy.memory.get();
  auto vm = QemuVm::Start(*loop_, start);
  ASSERT_TRUE(vm) << vm.error().message;
  std::optional<Status> restored;
  ASSERT_EQ(lseek(copy.state.get(), 0, SEEK_SET), 0);
  const auto transfer =
      QemuStateTransfer::Begin(*loop_, **vm, "migrate-incoming", copy.state.get(),
                               [&](Status outcome) { restored = std::move(outcome); });
  ASSERT_TRUE(RunUntil(*loop_, [&] { return restored.has_value(); }));
  ASSERT_TRUE(*restored) << restored->error().message;
  EXPECT_TRUE(RunUntil(*loop_, [&] { return *DigestOf(copy.memory.get()) != before; }));
}

}  // namespace
}  // namespace catamaran
