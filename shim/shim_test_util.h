#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "sandbox/base/files.h"
#include "shim/client/shim_client.h"
#include "shim/client/shim_lock.h"

namespace catamaran {

inline Deadline Soon() { return Deadline::After(std::chrono::seconds(60)); }

// What a shim reported, for threads that wait for it.
class EventLog {
 public:
  ShimClient::Events Events() {
    return {[this](const pod::Event& event) {
              std::lock_guard lock(mutex_);
              events_.push_back(event);
              changed_.notify_all();
            },
            [this] {
              std::lock_guard lock(mutex_);
              ++gone_;
              changed_.notify_all();
            }};
  }
  bool WaitFor(const std::function<bool(const std::vector<pod::Event>&, int gone)>& condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(60),
                             [&] { return condition(events_, gone_); });
  }
  // The exit of this process, waited for.
  spec::ExitStatus ExitOf(const std::string& container, const std::string& exec = "") {
    spec::ExitStatus exit;
    const bool came = WaitFor([&](const auto& events, int) {
      for (const auto& event : events) {
        if (!event.has_exited() || event.exited().process().container_id() != container ||
            event.exited().process().exec_id() != exec)
          continue;
        exit = event.exited().exit();
        return true;
      }
      return false;
    });
    EXPECT_TRUE(came) << "no exit of " << container << "/" << exec;
    return exit;
  }
  void Reset() {
    std::lock_guard lock(mutex_);
    events_.clear();
    gone_ = 0;
  }
  bool WaitGone() {
    return WaitFor([](const auto&, int gone) { return gone > 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<pod::Event> events_;
  int gone_ = 0;
};

// Real shim processes in a folder of the test's own, with a backend of the subclass's choice.
class ShimProcessTest : public testing::Test {
 protected:
  void SetUp() override {
    signal(SIGPIPE, SIG_IGN);
    ASSERT_TRUE(MakeDirectories(folder_));
    paths_.folder = HostPath(folder_ / "pod");
    ASSERT_TRUE(MakeDirectories(paths_.folder.value()));
    NewManager();
  }
  void TearDown() override {
    client_.reset();
    manager_.reset();
    KillShim();
    const auto removed = RemoveTree(folder_);
    ASSERT_TRUE(removed) << removed.error().message;
  }
  void NewManager() {
    auto manager = ShimManager::Create({CATAMARAN_SHIM});
    ASSERT_TRUE(manager) << manager.error().message;
    manager_ = std::move(*manager);
  }
  Status Spawn(ShimManager::Backend backend = ShimManager::Backend::kFake,
               const std::string& cgroup = "") {
    auto client = manager_->Spawn(PodId("pod"), paths_, backend, cgroup, events_.Events(), Soon());
    if (!client) return tl::unexpected(client.error());
    client_ = std::move(*client);
    return {};
  }
  Status MakeSandbox() {
    pod::CreateSandboxRequest request;
    request.mutable_sandbox()->set_pod_id("pod");
    auto created = client_->CreateSandbox(request, Soon());
    if (!created) return tl::unexpected(created.error());
    return {};
  }
  Status Create(const std::string& id, const std::vector<std::string>& args) {
    return Create(id, args, LogPath(id));
  }
  Status Create(const std::string& id, const std::vector<std::string>& args,
                const std::string& log_path) {
    pod::CreateContainerRequest request;
    request.mutable_container()->set_container_id(id);
    request.mutable_container()->set_log_path(log_path);
    for (const auto& arg : args) request.mutable_container()->mutable_process()->add_args(arg);
    auto created = client_->CreateContainer(request, Soon());
    if (!created) return tl::unexpected(created.error());
    return {};
  }
  Status Start(const std::string& id) {
    auto started = client_->StartContainer(ContainerId(id), Soon());
    if (!started) return tl::unexpected(started.error());
    return {};
  }
  std::string LogPath(const std::string& id) { return folder_ / (id + ".log"); }
  pid_t ShimPid() {
    const auto state = LookAtLock(paths_);
    return state ? state->shim : 0;
  }
  void KillShim() {
    const pid_t pid = ShimPid();
    if (pid <= 0) return;
    const UniqueFd shim(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    kill(pid, SIGKILL);
    // Until then it may be amid a write to its folder.
    pollfd dead{shim.get(), POLLIN, 0};
    if (shim.valid()) poll(&dead, 1, 30'000);
  }

  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() /
      fmt::format("catamaran-shim-{}-{}", getpid(),
                  testing::UnitTest::GetInstance()->current_test_info()->name());
  ShimPaths paths_;
  EventLog events_;
  std::unique_ptr<ShimManager> manager_;
  std::shared_ptr<ShimClient> client_;
};

// Reads a CRI log back: the content of one stream, and whether every record was well-formed.
struct LogContent {
  std::string out, err;
  size_t malformed = 0;
};
inline void ReadLog(const std::string& path, LogContent& content) {
  const std::string text = ReadFile(path, size_t{1} << 30).value();
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    if (end == std::string::npos) {
      ++content.malformed;
      return;
    }
    const std::string_view line(text.data() + at, end - at);
    at = end + 1;
    // "2026-01-02T03:04:05.000000000Z stdout F "
    constexpr size_t kPrefix = 40;
    if (line.size() < kPrefix || line[10] != 'T' || line[29] != 'Z' || line[30] != ' ' ||
        line[37] != ' ' || line[39] != ' ' || (line[38] != 'F' && line[38] != 'P')) {
      ++content.malformed;
      continue;
    }
    const std::string_view stream = line.substr(31, 6);
    std::string* to = stream == "stdout"   ? &content.out
                      : stream == "stderr" ? &content.err
                                           : nullptr;
    if (to == nullptr) {
      ++content.malformed;
      continue;
    }
    *to += line.substr(kPrefix);
    if (line[38] == 'F') *to += '\n';
  }
}

}  // namespace catamaran
