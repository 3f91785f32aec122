#include "sandbox/backend/engine_fixture.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sstream>

#include "sandbox/kernel/cgroup.h"
#include "sandbox/kernel/mounts.h"
#include "sandbox/kernel/process.h"

namespace catamaran {
namespace {

namespace fs = std::filesystem;

std::string ReadMounts() { return ReadFile("/proc/self/mountinfo").value_or(""); }

}  // namespace

Report ParseReport(const std::string& output) {
  Report report;
  std::istringstream lines(output);
  std::string line;
  while (std::getline(lines, line)) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    const auto equals = line.find('=');
    if (equals != std::string::npos) report[line.substr(0, equals)] = line.substr(equals + 1);
  }
  return report;
}

void EngineTest::SetUp() {
  loop_ = EventLoop::Create().value();
  static int instance = 0;
  pod_id_ = "engine-test-" + std::to_string(getpid()) + "-" + std::to_string(++instance);
  folder_ = fs::temp_directory_path() / pod_id_;
  fs::create_directories(folder_ / "images");
  mounts_before_ = ReadMounts();
  descriptors_before_ = ListDirectory("/proc/self/fd").value();
  backend_ = MakeNamespaceBackend(*loop_).value();
  backend_->SetEventSink([this](const pod::Event& event) { events_.push_back(event); });
}

void EngineTest::TearDown() {
  const auto destroyed = DestroySandbox();
  EXPECT_TRUE(destroyed) << destroyed.error().message;
  backend_.reset();
  // What was posted drops its last references.
  EXPECT_TRUE(loop_->RunOnce(std::chrono::milliseconds(0)));
  EXPECT_TRUE(loop_->RunOnce(std::chrono::milliseconds(0)));
  readers_.clear();
  stdin_.clear();
  network_namespaces_.clear();
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG | __WALL), -1) << "a process is left";
  EXPECT_EQ(ReadMounts(), mounts_before_);
  EXPECT_EQ(ListDirectory("/proc/self/fd").value(), descriptors_before_);
  EXPECT_FALSE(fs::exists(folder_ / "state"));
  EXPECT_TRUE(!fs::exists(folder_ / "data") || fs::is_empty(folder_ / "data"));
  EXPECT_FALSE(CgroupTree::Open().value()->Exists("/catamaran-test/" + pod_id_));
  fs::remove_all(folder_);
}

// ---- Specs ----

Status EngineTest::CanIdMapImages() {
  ASSIGN_OR_RETURN(const auto users, MakeUserNamespace({"0 100000 65536\n", "0 100000 65536\n"}));
  ASSIGN_OR_RETURN(const auto copy, CloneMount(AT_FDCWD, folder_, Recursion::kOne));
  auto mapped = IdMapMount(copy.get(), users.get(), Recursion::kOne);
  if (!mapped) return tl::unexpected(std::move(mapped).error().While("id-map " + folder_.string()));
  return {};
}

fs::path EngineTest::MakeImage(const std::string& name) {
  const fs::path image = folder_ / "images" / name;
  if (fs::exists(image)) return image;
  fs::create_directories(image / "etc");
  // One copy of the binary for all images of the process.
  static const fs::path program = [] {
    fs::path copy = fs::temp_directory_path() / ("engine-probe-" + std::to_string(getpid()));
    fs::copy_file("/proc/self/exe", copy, fs::copy_options::overwrite_existing);
    fs::permissions(copy, fs::perms(0755));
    static const struct Remover {
      fs::path path;
      pid_t owner = getpid();
      ~Remover() {
        if (getpid() == owner) fs::remove(path);
      }
    } remover{copy};
    return copy;
  }();
  fs::create_hard_link(program, image / "probe");
  return image;
}

spec::SandboxSpec EngineTest::SandboxSpec() {
  spec::SandboxSpec spec;
  spec.set_format_version(1);
  spec.set_pod_id(pod_id_);
  spec.set_hostname("pod-host");
  spec.set_network(spec::POD);
  spec.set_ipc(spec::POD);
  spec.set_pid(spec::CONTAINER);
  spec.set_network_namespace(MakeNetworkNamespace());
  spec.set_cgroup_path("/catamaran-test/" + pod_id_);
  spec.set_state_directory(folder_ / "state");
  spec.set_data_directory(folder_ / "data");
  auto* hosts = spec.add_files();
  hosts->set_container_path("/etc/hosts");
  hosts->set_content("127.0.0.1 localhost\n");
  hosts->set_mode(0644);
  auto* hostname = spec.add_files();
  hostname->set_container_path("/etc/hostname");
  hostname->set_content("pod-host\n");
  hostname->set_mode(0644);
  return spec;
}

spec::ContainerSpec EngineTest::ProbeSpec(const std::string& id,
                                          const std::vector<std::string>& words) {
  spec::ContainerSpec spec;
  spec.set_format_version(1);
  spec.set_container_id(id);
  spec.mutable_rootfs()->add_lower_directories(MakeImage("probe"));
  spec.mutable_rootfs()->set_writable_directory(folder_ / "data" / id);
  spec.set_pid(spec::CONTAINER);
  auto* process = spec.mutable_process();
  process->add_args("/probe");
  for (const auto& word : words) process->add_args(word);
  for (const char* name : {"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD",
                           "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP",
                           "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE"})
    process->mutable_capabilities()->add_bounding(name);
  return spec;
}

std::string EngineTest::MakeNetworkNamespace() {
  auto own = OpenOwnNamespace("net").value();
  EXPECT_EQ(unshare(CLONE_NEWNET), 0);
  network_namespaces_.push_back(OpenOwnNamespace("net").value());
  EXPECT_EQ(setns(own.get(), CLONE_NEWNET), 0);
  return "/proc/self/fd/" + std::to_string(network_namespaces_.back().get());
}

std::string EngineTest::MakeNetworkNamespace(const IdMaps& owner) {
  auto keeper = CloneProcess({.namespaces = CLONE_NEWUSER | CLONE_NEWNET}, [] {
    while (true) pause();
    return 0;
  });
  EXPECT_TRUE(keeper) << keeper.error().message;
  EXPECT_TRUE(WriteIdMaps(keeper->pidfd.get(), owner));
  network_namespaces_.push_back(
      OpenFile(fmt::format("/proc/{}/ns/net", keeper->pid), O_RDONLY).value());
  EXPECT_TRUE(KillAndReap(keeper->pidfd.get()));
  return "/proc/self/fd/" + std::to_string(network_namespaces_.back().get());
}

// ---- Verbs ----

Result<pod::CreateSandboxResponse> EngineTest::TryCreateSandbox(const spec::SandboxSpec& spec) {
  pod::CreateSandboxRequest request;
  *request.mutable_sandbox() = spec;
  return Complete<pod::CreateSandboxResponse>(
      [&](auto done) { backend_->CreateSandbox(request, std::move(done)); });
}

void EngineTest::CreateSandbox(const spec::SandboxSpec& spec) {
  auto created = TryCreateSandbox(spec);
  ASSERT_TRUE(created) << created.error().message;
}

Status EngineTest::DestroySandbox() {
  return Complete<void>([&](auto done) { backend_->DestroySandbox(std::move(done)); });
}

void EngineTest::ReadInto(UniqueFd fd, std::string& text, bool& open) {
  ASSERT_TRUE(SetNonBlocking(fd.get()));
  auto reader = std::make_unique<Reader>();
  Reader* raw = reader.get();
  reader->fd = std::move(fd);
  reader->watch = loop_
                      ->WatchFd(raw->fd.get(), EPOLLIN,
                                [raw, &text, &open](uint32_t) {
                                  char buffer[65536];
                                  const ssize_t count = read(raw->fd.get(), buffer, sizeof buffer);
                                  if (count > 0) {
                                    text.append(buffer, count);
                                  } else if (count == 0 || errno != EAGAIN) {
                                    open = false;
                                    raw->watch.Cancel();
                                    raw->fd.Reset();
                                  }
                                })
                      .value();
  readers_.push_back(std::move(reader));
}

Stdio EngineTest::MakeStdio(const std::string& key) {
  auto& output = outputs_[key];
  // Readers of an earlier process of this name still write to what they were given.
  if (output) earlier_outputs_.push_back(std::move(output));
  output = std::make_unique<Output>();
  auto in = MakePipe().value();
  auto out = MakePipe().value();
  auto err = MakePipe().value();
  ReadInto(std::move(out.read_end), output->out, output->out_open);
  ReadInto(std::move(err.read_end), output->err, output->err_open);
  stdin_[key] = std::move(in.write_end);
  return Stdio{std::move(in.read_end), std::move(out.write_end), std::move(err.write_end)};
}

Result<pod::CreateContainerResponse> EngineTest::Create(const spec::ContainerSpec& spec) {
  pod::CreateContainerRequest request;
  *request.mutable_container() = spec;
  return Complete<pod::CreateContainerResponse>([&](auto done) {
    backend_->CreateContainer(request, MakeStdio(Key(spec.container_id(), "")), std::move(done));
  });
}

Result<pod::StartContainerResponse> EngineTest::Start(const std::string& id) {
  pod::StartContainerRequest request;
  request.set_container_id(id);
  return Complete<pod::StartContainerResponse>(
      [&](auto done) { backend_->StartContainer(request, std::move(done)); });
}

Status EngineTest::Signal(const std::string& id, int signal, bool all) {
  pod::SignalRequest request;
  request.mutable_process()->set_container_id(id);
  request.set_signal(signal);
  request.set_all(all);
  return Complete<void>([&](auto done) { backend_->Signal(request, std::move(done)); });
}

Status EngineTest::Remove(const std::string& id) {
  pod::RemoveContainerRequest request;
  request.set_container_id(id);
  return Complete<void>([&](auto done) { backend_->RemoveContainer(request, std::move(done)); });
}

Result<pod::ExecResponse> EngineTest::Exec(const std::string& id, const std::string& exec_id,
                                           const std::vector<std::string>& args, bool terminal) {
  pod::ExecRequest request;
  request.set_container_id(id);
  request.set_exec_id(exec_id);
  request.set_terminal(terminal);
  for (const auto& argument : args) request.add_args(argument);
  return Complete<pod::ExecResponse>(
      [&](auto done) { backend_->Exec(request, MakeStdio(Key(id, exec_id)), std::move(done)); });
}

spec::ExitStatus EngineTest::WaitExit(const std::string& id, const std::string& exec_id) {
  std::optional<spec::ExitStatus> exit;
  EXPECT_TRUE(Await([&] {
    for (const auto& event : events_)
      if (event.has_exited() && event.exited().process().container_id() == id &&
          event.exited().process().exec_id() == exec_id)
        exit = event.exited().exit();
    return exit.has_value();
  })) << "no exit of "
      << id << "/" << exec_id;
  return exit.value_or(spec::ExitStatus());
}

pod::ListResponse EngineTest::List() {
  return Complete<pod::ListResponse>([&](auto done) { backend_->List(std::move(done)); }).value();
}

const std::string& EngineTest::Stdout(const std::string& id, const std::string& exec_id) {
  Output& output = *outputs_.at(Key(id, exec_id));
  EXPECT_TRUE(Await([&] { return !output.out_open; })) << "stdout stays open";
  return output.out;
}

const std::string& EngineTest::Stderr(const std::string& id, const std::string& exec_id) {
  Output& output = *outputs_.at(Key(id, exec_id));
  EXPECT_TRUE(Await([&] { return !output.err_open; })) << "stderr stays open";
  return output.err;
}

void EngineTest::WaitForOutput(const std::string& id, const std::string& text,
                               const std::string& exec_id) {
  const Output& output = *outputs_.at(Key(id, exec_id));
  EXPECT_TRUE(Await([&] { return output.out.find(text) != std::string::npos; }))
      << "never printed \"" << text << "\" but \"" << output.out << "\"";
}

Report EngineTest::Run(const spec::ContainerSpec& spec) {
  const std::string& id = spec.container_id();
  auto created = Create(spec);
  EXPECT_TRUE(created) << created.error().message;
  if (!created) return {};
  auto started = Start(id);
  EXPECT_TRUE(started) << started.error().message;
  if (!started) return {};
  const auto exit = WaitExit(id);
  EXPECT_EQ(exit.exit_code(), 0);
  return ParseReport(Stdout(id));
}

void EngineTest::StartForever(const std::string& id, std::vector<std::string> words) {
  words.push_back("echo:ready");
  words.push_back("forever");
  auto created = Create(ProbeSpec(id, words));
  ASSERT_TRUE(created) << created.error().message;
  auto started = Start(id);
  ASSERT_TRUE(started) << started.error().message;
  WaitForOutput(id, "echo=ready");
}

}  // namespace catamaran
