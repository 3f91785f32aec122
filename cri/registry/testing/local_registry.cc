#include "cri/registry/testing/local_registry.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <thread>

#include "cri/images/hasher.h"
#include "cri/images/reference.h"
#include "cri/registry/testing/loopback.h"
#include "sandbox/base/files.h"
#include "sandbox/base/unique_fd.h"

namespace catamaran {
namespace {

namespace fs = std::filesystem;

constexpr auto kPatience = std::chrono::seconds(60);

int FreePort() {
  const UniqueFd probe(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(probe.get(), generic, size) != 0 || getsockname(probe.get(), generic, &size) != 0)
    abort();
  return ntohs(address.sin_port);
}

bool Answers(int port) {
  const UniqueFd probe(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = Loopback(port);
  return connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
}

// It dies with the test, however that ends.
Result<pid_t> Spawn(const fs::path& configuration, const fs::path& log) {
  const std::string file = configuration.string();
  const std::string log_file = log.string();
  const char* argv[] = {
      "/usr/bin/setpriv", "--pdeathsig", "KILL", "/usr/bin/docker-registry", "serve",
      file.c_str(),       nullptr};
  const char* environment[] = {"OTEL_TRACES_EXPORTER=none", "PATH=/usr/bin:/bin", nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, log_file.c_str(), O_CREAT | O_WRONLY, 0600);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, argv[0], &actions, nullptr, const_cast<char**>(argv),
                                const_cast<char**>(environment));
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return FailErrno(error, "start docker-registry");
  return pid;
}

}  // namespace

Result<LocalRegistry> LocalRegistry::Start(const Options& options) {
  RETURN_IF_ERROR(MakeDirectories(options.folder / "storage"));
  const int port = FreePort();
  const std::string text = fmt::format(
      "version: 0.1\n"
      "log: {{level: error, accesslog: {{disabled: true}}}}\n"
      "storage: {{filesystem: {{rootdirectory: {}}}}}\n"
      "http:\n  addr: 127.0.0.1:{}\n{}{}{}",
      (options.folder / "storage").string(), port,
      options.http.empty() ? "" : "  " + options.http + "\n",
      options.auth.empty() ? "" : "auth:\n  " + options.auth + "\n", options.more);
  RETURN_IF_ERROR(
      ReplaceFile(options.folder / "config.yml", text, 0600, Durability::kProcessCrash));
  ASSIGN_OR_RETURN(const pid_t pid,
                   Spawn(options.folder / "config.yml", options.folder / "registry.log"));
  LocalRegistry registry(options.folder, port, pid);
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!Answers(port)) {
    if (waitpid(pid, nullptr, WNOHANG) == pid) registry.pid_ = 0;
    if (registry.pid_ == 0 || std::chrono::steady_clock::now() > end)
      return Fail(ErrorCode::kUnavailable, "docker-registry does not serve; see {}/registry.log",
                  options.folder.string());
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return registry;
}

LocalRegistry::LocalRegistry(LocalRegistry&& other) noexcept
    : folder_(std::move(other.folder_)), port_(other.port_), pid_(std::exchange(other.pid_, 0)) {}

LocalRegistry::~LocalRegistry() {
  if (pid_ == 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

// The layout of its storage: distribution's registry/storage/paths.go.
Status LocalRegistry::WriteLink(const fs::path& path, const std::string& digest) const {
  RETURN_IF_ERROR(MakeDirectories(path));
  return ReplaceFile(path / "link", digest, 0600, Durability::kProcessCrash);
}

Status LocalRegistry::AddBlob(const std::string& repository, const std::string& content) const {
  const fs::path root = folder_ / "storage/docker/registry/v2";
  const std::string digest = Sha256Of(content);
  const std::string hex = DigestHex(digest);
  const fs::path blob = root / "blobs/sha256" / hex.substr(0, 2) / hex;
  RETURN_IF_ERROR(MakeDirectories(blob));
  RETURN_IF_ERROR(ReplaceFile(blob / "data", content, 0600, Durability::kProcessCrash));
  const fs::path own = root / "repositories" / repository;
  RETURN_IF_ERROR(WriteLink(own / "_layers/sha256" / hex, digest));
  return WriteLink(own / "_manifests/revisions/sha256" / hex, digest);
}

Status LocalRegistry::AddBlobs(const std::string& repository, const fs::path& layout) const {
  ASSIGN_OR_RETURN(const auto names, ListDirectory(layout / "blobs/sha256"));
  for (const auto& name : names) {
    ASSIGN_OR_RETURN(const auto content, ReadFile(layout / "blobs/sha256" / name, 1 << 30));
    RETURN_IF_ERROR(AddBlob(repository, content));
  }
  return {};
}

Result<std::string> LocalRegistry::AddManifest(const std::string& repository,
                                               const std::string& tag,
                                               const std::string& text) const {
  RETURN_IF_ERROR(AddBlob(repository, text));
  const std::string digest = Sha256Of(text);
  const fs::path tags =
      folder_ / "storage/docker/registry/v2/repositories" / repository / "_manifests/tags" / tag;
  RETURN_IF_ERROR(WriteLink(tags / "current", digest));
  RETURN_IF_ERROR(WriteLink(tags / "index/sha256" / DigestHex(digest), digest));
  return digest;
}

Result<std::string> LocalRegistry::Add(const std::string& repository, const std::string& tag,
                                       const fs::path& layout) const {
  RETURN_IF_ERROR(AddBlobs(repository, layout));
  ASSIGN_OR_RETURN(const auto index, ReadFile(layout / "index.json"));
  const auto json = nlohmann::json::parse(index);
  const std::string digest = json["manifests"][0]["digest"];
  ASSIGN_OR_RETURN(const auto manifest, ReadFile(layout / "blobs/sha256" / DigestHex(digest)));
  return AddManifest(repository, tag, manifest);
}

}  // namespace catamaran
