// Containers in a real machine, from an image of several blobs shown as one disk.

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "vm-backend/host/vm_test_util.h"
#include "vm-backend/volumes/served_volumes.h"

namespace catamaran {
namespace {

constexpr uint64_t kBlock = 4096;

// One machine for all tests of this file: booting is what takes the time.
class VmContainer : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    loop_ = std::move(*EventLoop::Create());
    pod_ = std::make_unique<VmPod>(*loop_, [](const spec::SandboxSpec& host, UniqueFd channel) {
      return MakeServedVolumes(*loop_, std::move(channel), host.guest().volume_secret(), [] {});
    });
    auto sandbox = pod_->MachineSandbox();
    sandbox.set_privileged(true);
    auto made = pod_->Create(sandbox);
    ASSERT_TRUE(made) << made.error().message;
    MakeImage();
  }
  static void TearDownTestSuite() {
    pod_.reset();
    loop_.reset();
  }
  void SetUp() override {
    ASSERT_NE(pod_, nullptr);
    ASSERT_NE(rootfs_.merged_metadata(), "") << "no image: is erofs-utils installed?";
  }

  // An EROFS image of busybox, cut into pieces as if they were metadata and layers: the disk must
  // put them together again.
  static void MakeImage() {
    const auto folder = pod_->folder();
    std::filesystem::create_directories(folder / "tree/bin");
    for (const char* name : {"proc", "sys", "dev", "tmp", "etc"})
      std::filesystem::create_directories(folder / "tree" / name);
    std::filesystem::copy("/bin/busybox", folder / "tree/bin/busybox");
    std::filesystem::create_symlink("busybox", folder / "tree/bin/sh");
    const std::string command = "mkfs.erofs -T0 -Enoinline_data --all-root " +
                                (folder / "image").string() + " " + (folder / "tree").string() +
                                " >/dev/null 2>&1";
    ASSERT_EQ(std::system(command.c_str()), 0);
    std::string image = *ReadFile(folder / "image");
    image.resize((image.size() + kBlock - 1) / kBlock * kBlock);
    const size_t cuts[] = {0, 2 * kBlock, 3 * kBlock, 40 * kBlock, image.size()};
    for (size_t i = 0; i + 1 < std::size(cuts); ++i) {
      const auto piece = folder / ("piece" + std::to_string(i));
      ASSERT_TRUE(ReplaceFile(piece, std::string_view(image).substr(cuts[i], cuts[i + 1] - cuts[i]),
                              0400, Durability::kProcessCrash));
      if (i == 0) {
        rootfs_.set_merged_metadata(piece);
        rootfs_.set_merged_metadata_bytes(cuts[1]);
        continue;
      }
      auto& layer = *rootfs_.add_layers();
      layer.set_blob(piece);
      layer.set_size_bytes(cuts[i + 1] - cuts[i]);
    }
  }

  static spec::ContainerSpec Shell(const std::string& id, const std::string& script) {
    spec::ContainerSpec container;
    container.set_container_id(id);
    *container.mutable_rootfs() = rootfs_;
    for (const std::string& word : {std::string("/bin/sh"), std::string("-c"), script})
      container.mutable_process()->add_args(word);
    container.mutable_process()->add_env("PATH=/bin");
    container.mutable_process()->set_cwd("/");
    container.mutable_process()->mutable_capabilities()->set_all(true);
    container.set_pid(spec::CONTAINER);
    return container;
  }

  // A pipe whose reading end is ours; what comes is collected until the end.
  struct Output {
    UniqueFd fd;
    std::string text;
    bool ended = false;
    void Read() {
      char buffer[65536];
      ssize_t count;
      while ((count = read(fd.get(), buffer, sizeof buffer)) > 0)
        text.append(buffer, static_cast<size_t>(count));
      if (count == 0) ended = true;
    }
  };
  static Stdio Capture(Output& out) {
    auto pipe = *MakePipe();
    EXPECT_TRUE(SetNonBlocking(pipe.read_end.get()));
    out.fd = std::move(pipe.read_end);
    Stdio stdio;
    stdio.out = UniqueFd(fcntl(pipe.write_end.get(), F_DUPFD_CLOEXEC, 0));
    stdio.err = std::move(pipe.write_end);
    return stdio;
  }

  static Result<pod::CreateContainerResponse> Create(const spec::ContainerSpec& container,
                                                     Output& out) {
    pod::CreateContainerRequest request;
    *request.mutable_container() = container;
    return Await<pod::CreateContainerResponse>(*loop_, [&](auto done) {
      pod_->backend().CreateContainer(request, Capture(out), std::move(done));
    });
  }
  static Status Start(const std::string& id) {
    pod::StartContainerRequest request;
    request.set_container_id(id);
    auto started = Await<pod::StartContainerResponse>(
        *loop_, [&](auto done) { pod_->backend().StartContainer(request, std::move(done)); });
    return started ? Status() : Status(tl::unexpected<Error>(started.error()));
  }
  static Status Remove(const std::string& id) {
    pod::RemoveContainerRequest request;
    request.set_container_id(id);
    return Await<void>(
        *loop_, [&](auto done) { pod_->backend().RemoveContainer(request, std::move(done)); });
  }
  static const spec::ExitStatus* ExitOf(const std::string& id, const std::string& exec = "") {
    for (const pod::Event& event : pod_->events)
      if (event.has_exited() && event.exited().process().container_id() == id &&
          event.exited().process().exec_id() == exec)
        return &event.exited().exit();
    return nullptr;
  }

  struct Ran {
    std::string output;
    spec::ExitStatus exit;
  };
  // Create, start, all output, exit, remove.
  static Result<Ran> Run(const spec::ContainerSpec& container) {
    Output out;
    auto created = Create(container, out);
    if (!created) return tl::unexpected<Error>(created.error());
    const std::string id = container.container_id();
    RETURN_IF_ERROR(Start(id));
    const bool ended = RunUntil(*loop_, [&] {
      out.Read();
      return out.ended && ExitOf(id) != nullptr;
    });
    if (!ended) return Fail(ErrorCode::kDeadlineExceeded, "{} goes on: {}", id, out.text);
    Ran ran{out.text, *ExitOf(id)};
    RETURN_IF_ERROR(Remove(id));
    return ran;
  }
  static Result<Ran> Run(const std::string& id, const std::string& script) {
    return Run(Shell(id, script));
  }

  static inline std::unique_ptr<EventLoop> loop_;
  static inline std::unique_ptr<VmPod> pod_;
  static inline spec::RootfsSpec rootfs_;
};

TEST_F(VmContainer, RunsAProgramOfItsImageAndReportsItsExitCode) {
  const auto ran = Run("hello", "echo hello; echo error >&2; exit 7");
  ASSERT_TRUE(ran) << ran.error().message;
  EXPECT_EQ(ran->output, "hello\nerror\n");
  EXPECT_EQ(ran->exit.exit_code(), 7);
}

// A wrong extent mounts, and gives wrong data.
TEST_F(VmContainer, SeesTheImageByteForByte) {
  const auto ran = Run("bytes", "/bin/busybox sha256sum /bin/busybox");
  ASSERT_TRUE(ran) << ran.error().message;
  FILE* host = popen("sha256sum < /bin/busybox", "r");
  char digest[65] = {};
  ASSERT_EQ(fread(digest, 1, 64, host), 64u);
  pclose(host);
  EXPECT_EQ(ran->output.substr(0, 64), digest);
}

TEST_F(VmContainer, HandsOverEveryByteOfALargeOutput) {
  const auto ran = Run("large", "/bin/busybox seq 1 1000000; echo end");
  ASSERT_TRUE(ran) << ran.error().message;
  std::string expected;
  for (int i = 1; i <= 1000000; ++i) expected += std::to_string(i) + "\n";
  EXPECT_EQ(ran->output.size(), expected.size() + 4);
  EXPECT_TRUE(ran->output == expected + "end\n");
}

TEST_F(VmContainer, WritesToItsOwnLayerAndNotToTheImage) {
  const auto first = Run("write1", "echo x > /etc/new; cat /etc/new; rm /bin/sh");
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(first->output, "x\n");
  const auto second = Run("write2", "ls /etc; ls -d /bin/sh");
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(second->output, "/bin/sh\n");
}

// The host side refuses: a guest's root may write to the device as it likes.
TEST_F(VmContainer, CannotChangeTheImageThroughItsBlockDevice) {
  const std::string before = *ReadFile(pod_->folder() / "piece3");
  auto container = Shell("attack",
                         "for d in /dev/sd?; do echo 0 > /sys/block/${d#/dev/}/ro; "
                         "/bin/busybox blockdev --setrw $d; "
                         "/bin/busybox dd if=/dev/zero of=$d bs=4096 seek=50 count=4 conv=fsync; "
                         "done 2>&1; ls /dev/sd?");
  container.set_privileged(true);
  container.set_all_devices(true);
  const auto ran = Run(container);
  ASSERT_TRUE(ran) << ran.error().message;
  EXPECT_NE(ran->output.find("/dev/sd"), std::string::npos) << "the attack found no disk";
  EXPECT_TRUE(*ReadFile(pod_->folder() / "piece3") == before);
}

TEST_F(VmContainer, ExecsRunBesideItAndEndWithTheirOwnCode) {
  Output out;
  ASSERT_TRUE(Create(Shell("stays", "sleep 1000"), out));
  ASSERT_TRUE(Start("stays"));
  Output exec_out;
  pod::ExecRequest request;
  request.set_container_id("stays");
  request.set_exec_id("e1");
  for (const char* word : {"/bin/sh", "-c", "echo from exec; exit 3"}) request.add_args(word);
  const auto started = Await<pod::ExecResponse>(*loop_, [&](auto done) {
    pod_->backend().Exec(request, Capture(exec_out), std::move(done));
  });
  ASSERT_TRUE(started) << started.error().message;
  ASSERT_TRUE(RunUntil(*loop_, [&] {
    exec_out.Read();
    return exec_out.ended && ExitOf("stays", "e1") != nullptr;
  }));
  EXPECT_EQ(exec_out.text, "from exec\n");
  EXPECT_EQ(ExitOf("stays", "e1")->exit_code(), 3);
  EXPECT_EQ(ExitOf("stays"), nullptr);
  ASSERT_TRUE(Remove("stays"));
}

TEST_F(VmContainer, AMemoryHogIsOomKilledInTheGuestWith137) {
  auto container = Shell("hog", "/bin/busybox tail /dev/zero");
  container.mutable_resources()->set_memory_limit_bytes(32 << 20);
  container.mutable_resources()->set_memory_swap_limit_bytes(32 << 20);
  const auto ran = Run(container);
  ASSERT_TRUE(ran) << ran.error().message;
  EXPECT_EQ(ran->exit.exit_code(), 137);
  EXPECT_TRUE(ran->exit.oom_killed());
}

TEST_F(VmContainer, HostFoldersAreMountedReadWriteAndReadOnly) {
  const auto shared = pod_->folder() / "shared";
  std::filesystem::create_directories(shared);
  ASSERT_TRUE(ReplaceFile(shared / "in", "from the host\n", 0644, Durability::kProcessCrash));
  auto container = Shell("volumes", "cat /rw/in; echo back > /rw/out; echo no > /ro/out2; ls /ro");
  for (const bool readonly : {false, true}) {
    auto& mount = *container.add_mounts();
    mount.set_container_path(readonly ? "/ro" : "/rw");
    mount.set_host_path(shared);
    mount.set_readonly(readonly);
  }
  const auto ran = Run(container);
  ASSERT_TRUE(ran) << ran.error().message;
  EXPECT_NE(ran->output.find("from the host\n"), std::string::npos) << ran->output;
  EXPECT_EQ(*ReadFile(shared / "out"), "back\n");
  EXPECT_FALSE(Exists(shared / "out2"));
}

TEST_F(VmContainer, AMissingProgramFailsItsStart) {
  auto container = Shell("missing", "");
  container.mutable_process()->set_args(0, "/bin/none");
  Output out;
  ASSERT_TRUE(Create(container, out));
  EXPECT_FALSE(Start("missing"));
  ASSERT_TRUE(Remove("missing"));
}

TEST_F(VmContainer, StatsCountWhatContainersUse) {
  Output out;
  ASSERT_TRUE(Create(
      Shell("counted", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 1000"), out));
  ASSERT_TRUE(Start("counted"));
  const auto stats = Await<pod::StatsResponse>(
      *loop_, [&](auto done) { pod_->backend().Stats({}, std::move(done)); });
  ASSERT_TRUE(stats) << stats.error().message;
  ASSERT_EQ(stats->stats().containers_size(), 1);
  EXPECT_EQ(stats->stats().containers(0).container_id(), "counted");
  EXPECT_GT(stats->stats().containers(0).group().memory().usage_bytes(), 0u);
  ASSERT_TRUE(Remove("counted"));
}

// Disks and descriptors of images go with their last container.
TEST_F(VmContainer, LeavesNoDiskBehind) {
  ASSERT_TRUE(Run("last", "true"));
  EXPECT_TRUE(std::filesystem::is_empty(pod_->folder() / "state"));
}

}  // namespace
}  // namespace catamaran
