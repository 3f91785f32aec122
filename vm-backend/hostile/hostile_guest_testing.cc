#include "vm-backend/hostile/hostile_guest_testing.h"

#include <unistd.h>

#include <fstream>
#include <sstream>

#include "vm-backend/volumes/served_volumes.h"

namespace catamaran {
namespace {

namespace fs = std::filesystem;

size_t ResidentBytes(const std::string& process) {
  std::ifstream statm("/proc/" + process + "/statm");
  size_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident * 4096;
}

// This process and its volume servers.
size_t ReceiversBytes() {
  size_t bytes = ResidentBytes("self");
  std::ifstream children(fmt::format("/proc/self/task/{}/children", getpid()));
  for (std::string child; children >> child;)
    if (ReadFile("/proc/" + child + "/comm").value_or("") == "catamaran-vols\n")
      bytes += ResidentBytes(child);
  return bytes;
}

}  // namespace

void HostileGuest::SetUp() {
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

spec::SandboxSpec HostileGuest::Hostile() const {
  auto sandbox = pod_->MachineSandbox();
  sandbox.mutable_machine()->set_initramfs(BuildFolder() / "hostile-guest" / "initramfs.img");
  sandbox.mutable_machine()->clear_writable_disk();
  return sandbox;
}

void HostileGuest::Boot(const spec::SandboxSpec& sandbox) {
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
  resident_at_boot_ = most_resident_ = ReceiversBytes();
}

bool HostileGuest::Ended(const std::string& exec) const {
  for (const pod::Event& event : pod_->events)
    if (event.has_failed() || (event.has_exited() && event.exited().process().exec_id() == exec))
      return true;
  return false;
}

std::string HostileGuest::GivenUp() const {
  return !pod_->events.empty() && pod_->events.back().has_failed()
             ? pod_->events.back().failed().reason()
             : "";
}

// Not one at a time: an agent may be stopped that has taken a question and not answered it.
void HostileGuest::AskAgent() {
  if (next_question_ && !next_question_->expired()) return;
  next_question_ = Deadline::After(std::chrono::milliseconds(100));
  pod_->backend().List([](Result<pod::ListResponse>) {});
}

std::string HostileGuest::Attack(const std::vector<std::string>& words) {
  auto pipe = *MakePipe();
  EXPECT_TRUE(SetNonBlocking(pipe.read_end.get()));
  Stdio stdio;
  stdio.out = std::move(pipe.write_end);
  pod::ExecRequest request;
  request.set_container_id("c");
  request.set_exec_id("attack-" + std::to_string(++attacks_));
  for (const std::string& word : words) request.add_args(word);
  const auto started = Await<pod::ExecResponse>(
      *loop_, [&](auto done) { pod_->backend().Exec(request, std::move(stdio), std::move(done)); });
  EXPECT_TRUE(started) << started.error().message;
  std::string report;
  const bool ended = RunUntil(*loop_, [&] {
    char buffer[65536];
    for (ssize_t count; (count = read(pipe.read_end.get(), buffer, sizeof buffer)) > 0;)
      report.append(buffer, static_cast<size_t>(count));
    most_resident_ = std::max(most_resident_, ReceiversBytes());
    AskAgent();
    return Ended(request.exec_id());
  });
  EXPECT_TRUE(ended) << words[0] << " goes on: " << report;
  return report;
}

std::vector<std::string> HostileGuest::Results(const std::string& report, const std::string& what) {
  std::vector<std::string> results;
  std::istringstream lines(report);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(what)) results.push_back(line.substr(line.rfind(' ') + 1));
  return results;
}

void HostileGuest::ExpectRefused(const std::string& report, const std::string& what) {
  const auto results = Results(report, what);
  EXPECT_FALSE(results.empty()) << what << " was not tried: " << report;
  for (const std::string& result : results) EXPECT_NE(result, "ok") << what << "\n" << report;
}

}  // namespace catamaran
