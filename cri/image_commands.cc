#include "cri/image_commands.h"

#include <fmt/ranges.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "cri/images/image_store.h"
#include "cri/images/reference.h"
#include "cri/progress_printer.h"
#include "cri/registry/docker_config.h"
#include "cri/registry/image_puller.h"
#include "cri/service/directory_lock.h"
#include "cri/service/grpc_client.h"
#include "cri/signatures/signature_policy.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

using ImageLine = DaemonClient::ImageLine;

// A process that took the lock a moment ago has not said yet who it is, and another command is
// soon done.
constexpr auto kOwnerPatience = std::chrono::seconds(60);

// Who works with the store: this process, which then holds the root folder's lock, or a daemon.
struct StoreAccess {
  std::unique_ptr<DirectoryLock> lock;
  std::unique_ptr<ImageStore> store;
  std::unique_ptr<DaemonClient> daemon;
  std::shared_ptr<const SignaturePolicy> policy;  // where the store is open here
};

Result<StoreAccess> OpenStore(const Config& config) {
  RETURN_IF_ERROR(MakeDirectories(config.root.value(), 0700));
  StoreAccess access;
  auto lock = DirectoryLock::Take(config.root, fmt::format("catamaran image, pid {}", getpid()),
                                  Deadline::After(kOwnerPatience));
  if (lock) {
    access.lock = std::make_unique<DirectoryLock>(std::move(*lock));
    access.policy = std::make_shared<SignaturePolicy>(config.images.signature_policy);
    ASSIGN_OR_RETURN(access.store, ImageStore::Open(config.root / "images",
                                                    {config.images.pinned, {}, access.policy}));
    return access;
  }
  if (lock.error().code != ErrorCode::kFailedPrecondition) {
    return tl::unexpected(std::move(lock).error());
  }
  ASSIGN_OR_RETURN(const std::string holder, DirectoryLock::Holder(config.root));
  if (!SocketPathOf(holder)) return tl::unexpected(std::move(lock).error());
  ASSIGN_OR_RETURN(access.daemon, DaemonClient::Create(holder));
  return access;
}

std::vector<ImageLine> ToLines(const std::vector<Image>& images) {
  std::vector<ImageLine> lines;
  for (const Image& image : images)
    lines.push_back(
        {image.id, image.repo_tags, image.size_bytes, image.shared_bytes(), image.pinned});
  return lines;
}

void Print(const std::vector<ImageLine>& lines) {
  for (const ImageLine& line : lines) {
    const std::string tags =
        line.repo_tags.empty() ? "<none>" : fmt::format("{}", fmt::join(line.repo_tags, ","));
    const auto megabytes = [](uint64_t bytes) { return static_cast<double>(bytes) / 1e6; };
    fmt::print("{}  {:>9.1f} MB, {:>9.1f} shared  {}{}\n", line.id, megabytes(line.size_bytes),
               megabytes(line.shared_bytes), tags, line.pinned ? "  pinned" : "");
  }
}

constexpr size_t kLongestPassword = 64 << 10;

Result<Credentials> ReadCredentials(const PullFlags& flags) {
  Credentials credentials;
  if (!flags.auth_file.empty()) {
    ASSIGN_OR_RETURN(const auto reference, ParseImageReference(flags.reference));
    const std::string host = reference.repository.substr(0, reference.repository.find('/'));
    std::error_code error;
    const HostPath file(std::filesystem::absolute(flags.auth_file, error));
    ASSIGN_OR_RETURN(const auto found,
                     CredentialsFromDockerConfig(file, host, "", Deadline::Never()));
    if (found) return *found;
  }
  credentials.username = flags.username;
  if (!flags.password_from_stdin) return credentials;
  ASSIGN_OR_RETURN(credentials.password, ReadAll(STDIN_FILENO, kLongestPassword));
  while (credentials.password.ends_with('\n')) credentials.password.pop_back();
  return credentials;
}

}  // namespace

Status ImagePullCommand(const Config& config, const PullFlags& flags) {
  ASSIGN_OR_RETURN(const Credentials credentials, ReadCredentials(flags));
  ASSIGN_OR_RETURN(const StoreAccess access, OpenStore(config));
  auto printer = std::make_shared<ProgressPrinter>();
  const auto progress = [printer](const ImageStore::Progress& p) { (*printer)(p); };
  if (access.daemon != nullptr) {
    ASSIGN_OR_RETURN(const auto lines,
                     access.daemon->PullImage(flags.reference, credentials, progress));
    Print(lines);
    return {};
  }
  signal(SIGPIPE, SIG_IGN);  // a registry that hangs up is an error, not our end
  ImagePuller puller(*access.store, {.hosts_dir = config.images.hosts_dir,
                                     .docker_config = config.images.docker_config,
                                     .policy = access.policy});
  const AuthFields auth{credentials.username,       credentials.password,      "", "",
                        credentials.identity_token, credentials.registry_token};
  ASSIGN_OR_RETURN(const auto image,
                   puller.Pull(flags.reference, auth.empty() ? std::nullopt : std::optional(auth),
                               {"", progress, Deadline::Never()}));
  Print(ToLines({image}));
  return {};
}

Status ImageLoadCommand(const Config& config, const std::string& source,
                        const std::string& reference) {
  std::error_code error;
  const HostPath path(std::filesystem::canonical(source, error));
  if (error) return FailErrno(error.value(), "find " + source);
  ASSIGN_OR_RETURN(const StoreAccess access, OpenStore(config));
  auto printer = std::make_shared<ProgressPrinter>();
  const auto progress = [printer](const ImageStore::Progress& p) { (*printer)(p); };
  if (access.daemon != nullptr) {
    ASSIGN_OR_RETURN(const auto lines, access.daemon->LoadImage(path, reference, progress));
    Print(lines);
    return {};
  }
  ASSIGN_OR_RETURN(const auto images,
                   access.store->Load(path, {reference, progress, Deadline::Never()}));
  Print(ToLines(images));
  return {};
}

Status ImageListCommand(const Config& config) {
  ASSIGN_OR_RETURN(const StoreAccess access, OpenStore(config));
  if (access.daemon != nullptr) {
    ASSIGN_OR_RETURN(const auto lines, access.daemon->ListImages());
    Print(lines);
    return {};
  }
  ASSIGN_OR_RETURN(const auto images, access.store->List());
  Print(ToLines(images));
  return {};
}

}  // namespace catamaran
