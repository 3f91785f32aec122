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
#include "vm-backend/hostile/hostile_guest_testing.h"

namespace catamaran {
namespace {

namespace fs = std::filesystem;

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
