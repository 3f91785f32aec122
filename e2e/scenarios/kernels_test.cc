// Kernels by handler: two of them side by side on one daemon, each with an initramfs, a memory and
// a command line of its own; and handlers whose files are wrong. Needs ./dev build --kernel 6.12.
#include <fstream>
#include <thread>

#include "e2e/harness/plain_pod.h"
#include "e2e/harness/pod_test.h"
#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {

namespace fs = std::filesystem;

constexpr char kVm612[] = "vm-6-12";
constexpr char kArgument[] = "catamaran.test=side-by-side";

class Kernels : public WorldTest {
 protected:
  void SetUp() override {
    guest_ = fs::path(ProgramFolder()).parent_path() / "guest";
    ASSERT_TRUE(Exists(guest_ / "6.12/vmlinuz")) << "run ./dev build --kernel 6.12";
    auto loaded = world().LoadTestImage();
    ASSERT_TRUE(loaded) << loaded.error().message;
    files_ = world().NewFolder("kernels");
  }
  void TearDown() override {
    pods_.clear();
    WorldTest::TearDown();
    // What the other scenarios expect.
    EXPECT_EQ(world().daemon().Terminate(), 0);
    EXPECT_TRUE(world().Configure(""));
    EXPECT_TRUE(world().RestartDaemon());
  }

  // The daemon starts anew with this run's handlers and these, entries of `handlers`.
  void ServeWith(const std::string& handlers) {
    ASSERT_TRUE(ReplaceFile(world().config_file(), ConfigText(world().paths()) + handlers, 0600,
                            Durability::kProcessCrash));
    ASSERT_EQ(world().daemon().Terminate(), 0);
    auto started = world().RestartDaemon();
    ASSERT_TRUE(started) << started.error().message;
  }
  static std::string Handler(const std::string& name, const fs::path& kernel,
                             const fs::path& initramfs, const std::string& more) {
    return fmt::format(
        "  - name: {}\n    backend: vm\n    machine:\n      kernel: {}\n      initramfs: {}\n{}",
        name, kernel.string(), initramfs.string(), more);
  }
  std::string Handler612() const {
    return Handler(kVm612, guest_ / "6.12/vmlinuz", guest_ / "6.12/initramfs.img",
                   fmt::format("      command_line: {}\n      default_memory: 128Mi\n", kArgument));
  }

  PlainPod& NewPod(const std::string& handler, const std::string& name) {
    const std::string folder = world().NewFolder(name);
    const std::string script =
        "echo log of $(uname -r); cat /v/in; uname -r > /v/out; "
        "trap 'exit 0' TERM; while :; do sleep 1000 & wait $!; done";
    std::ofstream(folder + "/in") << "from the host\n";
    pods_.push_back(
        std::make_unique<PlainPod>(cri(), PlainPod::Options{handler,
                                                            name,
                                                            kImage,
                                                            {"/bin/sh", "-c", script},
                                                            folder,
                                                            {},
                                                            [folder](v1::ContainerConfig* config) {
                                                              auto* mount = config->add_mounts();
                                                              mount->set_host_path(folder);
                                                              mount->set_container_path("/v");
                                                            }}));
    return *pods_.back();
  }
  static void Start(PlainPod& pod) {
    for (const auto& step : {&PlainPod::Run, &PlainPod::Create, &PlainPod::Start}) {
      const auto done = (pod.*step)();
      ASSERT_TRUE(done) << pod.options().name << ": " << done.error().message;
    }
  }
  // Machines of this handler are clones from here on.
  void PrepareTemplate(const std::string& handler) {
    std::string why;
    const bool ready = WaitUntil(
        [&] {
          PlainPod pod(cri(), {.handler = handler,
                               .name = "template-" + handler,
                               .log_directory = world().NewFolder("template")});
          auto run = pod.Run();
          EXPECT_TRUE(run) << run.error().message;
          if (!run) return true;
          auto facts = ReadMachineFacts(cri(), pod.id());
          EXPECT_TRUE(facts && pod.StopAndRemove());
          why = facts ? facts->text : "";
          return facts && facts->start == "restored";
        },
        std::chrono::minutes(10));
    ASSERT_TRUE(ready) << why;
  }
  static std::string OutputOf(PlainPod& pod, const std::string& script) {
    auto output = pod.Output({"/bin/sh", "-c", script});
    EXPECT_TRUE(output) << pod.options().name << ": " << output.error().message;
    return output.value_or("");
  }
  static std::string IpOf(PlainPod& pod) {
    auto status = pod.VerboseStatus();
    return status ? status->status().network().ip() : status.error().message;
  }
  // A machine of Linux `release`…, which nothing about its neighbour shows in.
  void ExpectMachine(PlainPod& pod, const std::string& release, uint64_t mebibytes);

  fs::path guest_;
  std::string files_;
  std::vector<std::unique_ptr<PlainPod>> pods_;
};

void Kernels::ExpectMachine(PlainPod& pod, const std::string& release, uint64_t mebibytes) {
  SCOPED_TRACE(pod.options().name);
  auto facts = ReadMachineFacts(cri(), pod.id());
  ASSERT_TRUE(facts) << facts.error().message;
  EXPECT_EQ(facts->start, "restored") << facts->text;
  EXPECT_TRUE(facts->kernel_release.starts_with(release)) << facts->text;
  EXPECT_EQ(facts->memory_bytes, mebibytes << 20) << facts->text;
  EXPECT_EQ(OutputOf(pod, "uname -r"), facts->kernel_release + "\n");
  const uint64_t total = std::stoull(
      "0" + OutputOf(pod, "sed -n 's/^MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo"));
  EXPECT_LT(total, mebibytes << 10);
  EXPECT_GT(total, (mebibytes << 10) * 2 / 3);
  const std::string folder = pod.options().log_directory;
  EXPECT_TRUE(WaitUntil([&] {
    const auto log = ReadFile(pod.log_file());
    return log && TextOf(ParseLog(*log), "stdout") ==
                      "log of " + facts->kernel_release + "\nfrom the host\n";
  })) << ReadFile(pod.log_file()).value_or("no log");
  EXPECT_TRUE(WaitUntil(
      [&] { return ReadFile(folder + "/out").value_or("") == facts->kernel_release + "\n"; }));
}

TEST_F(Kernels, StandSideBySideOnOneDaemonEachWithAMachineOfItsOwn) {
  ASSERT_NO_FATAL_FAILURE(ServeWith(Handler612()));
  std::set<std::string> handlers;
  const auto status = cri().Status({});
  for (const auto& handler : status->runtime_handlers()) handlers.insert(handler.name());
  EXPECT_TRUE(handlers.contains(kVm) && handlers.contains(kVm612)) << status.message();

  // Both templates are made and saved at the same time.
  std::thread other([&] { PrepareTemplate(kVm612); });
  PrepareTemplate(kVm);
  other.join();
  ASSERT_FALSE(HasFailure());
  WorldTest::SetUp();

  PlainPod& old_kernel = NewPod(kVm, "old");
  PlainPod& new_kernel = NewPod(kVm612, "new");
  PlainPod& on_ns = NewPod(kNs, "ns");
  std::thread starter([&] { Start(new_kernel); });
  Start(old_kernel);
  starter.join();
  Start(on_ns);
  ASSERT_FALSE(HasFailure());
  ExpectMachine(old_kernel, "6.1.", 384);
  ExpectMachine(new_kernel, "6.12.", 192);
  EXPECT_NE(OutputOf(new_kernel, "cat /proc/cmdline").find(kArgument), std::string::npos);
  EXPECT_EQ(OutputOf(old_kernel, "cat /proc/cmdline").find(kArgument), std::string::npos);
  for (PlainPod* from : {&old_kernel, &new_kernel, &on_ns}) {
    for (PlainPod* to : {&old_kernel, &new_kernel, &on_ns}) {
      EXPECT_TRUE(WaitUntil([&] {
        return from->Output({"/bin/ping", "-c", "1", "-W", "10", IpOf(*to)}).has_value();
      })) << from->options().name
          << " to " << to->options().name;
    }
  }
  world().daemon().Kill();
  auto restarted = world().RestartDaemon();
  ASSERT_TRUE(restarted) << restarted.error().message;
  ExpectMachine(old_kernel, "6.1.", 384);
  ExpectMachine(new_kernel, "6.12.", 192);
}

TEST_F(Kernels, AHandlerWhoseFilesAreWrongSaysWhatAndHoldsUpNoOther) {
  const fs::path text = files_ + "/text", cut = files_ + "/cut";
  std::ofstream(text) << "#!/bin/sh\necho no kernel\n";
  std::ofstream(cut) << ReadFile(guest_ / "6.12/vmlinuz", 64 << 20).value().substr(0, 1 << 20);
  const fs::path initramfs = guest_ / "6.12/initramfs.img", kernel = guest_ / "6.12/vmlinuz";
  const std::string cold = "      template: off\n";
  ASSERT_NO_FATAL_FAILURE(ServeWith(Handler("vm-text", text, initramfs, "") +
                                    Handler("vm-cut", cut, initramfs, "") +
                                    Handler("vm-absent", "/nowhere/vmlinuz", initramfs, "") +
                                    Handler("vm-swapped", initramfs, kernel, "") +
                                    Handler("vm-of-two", kernel, guest_ / "initramfs.img", cold)));
  ASSERT_NO_FATAL_FAILURE(PrepareTemplate(kVm));
  WorldTest::SetUp();
  const struct {
    const char* handler;
    std::vector<std::string> said;
  } rows[] = {
      {"vm-text", {"machine.kernel", text.string(), "not a Linux kernel"}},
      {"vm-cut", {"machine.kernel", cut.string(), "are there"}},
      {"vm-absent", {"machine.kernel", "/nowhere/vmlinuz", "No such file"}},
      {"vm-swapped", {"machine.kernel", initramfs.string(), "not a Linux kernel"}},
      {"vm-of-two", {"modules of Linux 6.1.", "but Linux 6.12.", kernel.string()}},
  };
  for (const auto& row : rows) {
    const auto refused = NewPod(row.handler, row.handler).Run();
    ASSERT_FALSE(refused) << row.handler;
    for (const std::string& part : row.said)
      EXPECT_NE(refused.error().message.find(part), std::string::npos)
          << row.handler << ": " << part << " is missing in: " << refused.error().message;
  }
  for (const char* handler : {kVm, kNs}) {
    PlainPod& pod = NewPod(handler, std::string("well-") + handler);
    ASSERT_NO_FATAL_FAILURE(Start(pod));
    EXPECT_EQ(OutputOf(pod, "cat /v/in"), "from the host\n");
  }
}

}  // namespace
}  // namespace catamaran::e2e
