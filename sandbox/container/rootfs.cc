#include "sandbox/container/rootfs.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/base/files.h"
#include "sandbox/container/quota_credentials.h"
#include "sandbox/kernel/mounts.h"
#include "sandbox/kernel/safe_path.h"

namespace catamaran {
namespace {

// fsconfig(2) takes no longer string.
constexpr size_t kMaximumParameter = 255;
constexpr int kLoopAttempts = 64;

std::string ParameterPath(const std::string& path, int fd) {
  return path.size() <= kMaximumParameter ? path : fmt::format("/proc/self/fd/{}", fd);
}

// A read-only loop device on the file; the kernel detaches it with its last user (loop(4)).
Result<UniqueFd> MakeLoopDevice(int file_fd, std::string& device_path) {
  ASSIGN_OR_RETURN(auto control, OpenFile("/dev/loop-control", O_RDWR));
  for (int attempt = 0; attempt < kLoopAttempts; ++attempt) {
    const int number = ioctl(control.get(), LOOP_CTL_GET_FREE);
    if (number < 0) return FailWithErrno("find a free loop device");
    device_path = fmt::format("/dev/loop{}", number);
    ASSIGN_OR_RETURN(auto device, OpenFile(device_path, O_RDONLY));
    loop_config config{};
    config.fd = static_cast<uint32_t>(file_fd);
    config.info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR;
    if (ioctl(device.get(), LOOP_CONFIGURE, &config) == 0) return device;
    if (errno != EBUSY) return FailWithErrno("configure {}", device_path);
  }
  return Fail(ErrorCode::kUnavailable, "no free loop device after {} attempts", kLoopAttempts);
}

Result<UniqueFd> MountThroughLoop(int blob_fd) {
  std::string device_path;
  // Held until the mount holds the device.
  ASSIGN_OR_RETURN(auto device, MakeLoopDevice(blob_fd, device_path));
  return MakeFilesystem("erofs", {{"source", device_path}, {"ro"}}, MOUNT_ATTR_RDONLY);
}

struct WritableFolders {
  UniqueFd upper;
  UniqueFd work;
};

// The merged root shows the upper folder's own mode and owner.
Result<WritableFolders> MakeWritableFolders(const std::string& folder, int top_lower_fd) {
  RETURN_IF_ERROR(MakeDirectories(folder, 0700));
  RETURN_IF_ERROR(MakeDirectories(folder + "/upper", 0755));
  RETURN_IF_ERROR(MakeDirectories(folder + "/work", 0700));
  WritableFolders folders;
  ASSIGN_OR_RETURN(folders.upper, OpenFile(folder + "/upper", O_RDONLY | O_DIRECTORY));
  ASSIGN_OR_RETURN(folders.work, OpenFile(folder + "/work", O_RDONLY | O_DIRECTORY));
  struct stat root;
  if (fstat(top_lower_fd, &root) != 0) return FailWithErrno("stat the image's root");
  if (fchown(folders.upper.get(), root.st_uid, root.st_gid) != 0 ||
      fchmod(folders.upper.get(), root.st_mode & 07777) != 0)
    return FailWithErrno("give {}/upper the image's owner and mode", folder);
  return folders;
}

}  // namespace

Status RootfsBuilder::MakeScratchFolders(const std::string& scratch_folder) {
  RETURN_IF_ERROR(MakeDirectories(scratch_folder + "/root", 0700));
  return MakeDirectories(scratch_folder + "/parts", 0700);
}

Result<UniqueFd> RootfsBuilder::NewScratchFolder(const std::string& name) {
  if (!scratch_.valid()) {
    ASSIGN_OR_RETURN(auto folder, OpenFile(scratch_folder_ + "/parts", O_PATH | O_DIRECTORY));
    ASSIGN_OR_RETURN(scratch_, MakeFilesystem("tmpfs", {{"mode", "700"}}, 0));
    RETURN_IF_ERROR(AttachMount(scratch_.get(), folder.get()));
  }
  if (mkdirat(scratch_.get(), name.c_str(), 0700) != 0) return FailWithErrno("mkdir {}", name);
  return OpenFileAt(scratch_.get(), name, O_PATH | O_DIRECTORY);
}

Result<UniqueFd> RootfsBuilder::Attach(UniqueFd mount, const std::string& name) {
  ASSIGN_OR_RETURN(auto folder, NewScratchFolder(name));
  RETURN_IF_ERROR(AttachMount(mount.get(), folder.get()));
  return mount;
}

Result<UniqueFd> RootfsBuilder::MountLayer(const std::string& blob) {
  ASSIGN_OR_RETURN(auto file, OpenFile(blob, O_RDONLY));
  if (method_ == RootfsMethod::kByPath) return MountThroughLoop(file.get());
  auto mount = MakeFilesystem("erofs", {{"source", ParameterPath(blob, file.get())}, {"ro"}},
                              MOUNT_ATTR_RDONLY);
  // Before Linux 6.12, and for files on an overlay, EROFS wants a block device.
  if (mount || (mount.error().system_errno != ENOTBLK && mount.error().system_errno != EINVAL))
    return mount;
  auto through_loop = MountThroughLoop(file.get());
  if (!through_loop)
    return tl::unexpected(std::move(through_loop)
                              .error()
                              .While(mount.error().message + "; by a loop device instead"));
  return through_loop;
}

Result<std::vector<UniqueFd>> RootfsBuilder::OpenLowers(const spec::RootfsSpec& spec,
                                                        int user_namespace_fd) {
  std::vector<UniqueFd> lowers;
  for (const auto& layer : spec.layers()) {
    auto mount = MountLayer(layer.blob());
    if (!mount) return tl::unexpected(std::move(mount).error().While("layer " + layer.blob()));
    lowers.push_back(std::move(*mount));
  }
  for (const auto& folder : spec.lower_directories()) {
    ASSIGN_OR_RETURN(lowers.emplace_back(), CloneMount(AT_FDCWD, folder, Recursion::kOne));
  }
  if (lowers.empty()) return Fail(ErrorCode::kInvalidArgument, "an image without layers");
  if (user_namespace_fd < 0) return lowers;
  for (const auto& lower : lowers) {
    auto mapped = IdMapMount(lower.get(), user_namespace_fd, Recursion::kOne);
    if (!mapped) return tl::unexpected(std::move(mapped).error().While("id-map a layer"));
  }
  return lowers;
}

Result<UniqueFd> RootfsBuilder::OverlayByDescriptors(const std::vector<UniqueFd>& lowers,
                                                     int upper_fd, int work_fd,
                                                     const std::string& label) {
  std::vector<MountParameter> parameters = {{"source", "overlay"}};
  for (auto lower = lowers.rbegin(); lower != lowers.rend(); ++lower)
    parameters.push_back({"lowerdir+", std::nullopt, lower->get()});
  if (upper_fd >= 0) {
    parameters.push_back({"upperdir", std::nullopt, upper_fd});
    parameters.push_back({"workdir", std::nullopt, work_fd});
    // No sync at unmount: what a container wrote goes with it.
    parameters.push_back({"volatile", std::nullopt});
  }
  if (!label.empty()) parameters.push_back({"context", label});
  return MakeFilesystem("overlay", parameters, 0);
}

Result<UniqueFd> RootfsBuilder::OverlayByPaths(const std::vector<UniqueFd>& lowers,
                                               const std::string& writable_folder,
                                               const std::string& label) {
  const std::string prefix = fmt::format("o{}-", next_overlay_++);
  std::string options = "lowerdir=";
  for (size_t i = lowers.size(); i-- > 0;) {
    const std::string name = prefix + std::to_string(i);
    ASSIGN_OR_RETURN(auto folder, NewScratchFolder(name));
    RETURN_IF_ERROR(AttachMount(lowers[i].get(), folder.get()));
    options += name + (i > 0 ? ":" : "");
  }
  if (!writable_folder.empty()) {
    ASSIGN_OR_RETURN(auto writable, CloneMount(AT_FDCWD, writable_folder, Recursion::kOne));
    ASSIGN_OR_RETURN(writable, Attach(std::move(writable), prefix + "w"));
    options += fmt::format(",upperdir={0}w/upper,workdir={0}w/work,volatile", prefix);
  }
  // Quoted: a label's level holds commas.
  if (!label.empty()) options += fmt::format(",context=\"{}\"", label);
  ASSIGN_OR_RETURN(auto target, NewScratchFolder(prefix + "m"));
  // Short names, from the folder they are in: mount(2) takes no more than one page of options.
  ASSIGN_OR_RETURN(auto previous, OpenFile(".", O_PATH | O_DIRECTORY));
  if (fchdir(scratch_.get()) != 0) return FailWithErrno("fchdir to the scratch folder");
  const int mounted = mount("overlay", (prefix + "m").c_str(), "overlay", 0, options.c_str());
  const int error_number = errno;
  if (fchdir(previous.get()) != 0) return FailWithErrno("fchdir back");
  if (mounted != 0) return FailErrno(error_number, fmt::format("mount overlay ({})", options));
  return OpenFileAt(scratch_.get(), prefix + "m", O_PATH | O_DIRECTORY);
}

Result<UniqueFd> RootfsBuilder::MountContainerRoot(const spec::RootfsSpec& spec,
                                                   int user_namespace_fd) {
  ASSIGN_OR_RETURN(auto lowers, OpenLowers(spec, user_namespace_fd));
  ASSIGN_OR_RETURN(auto writable,
                   MakeWritableFolders(spec.writable_directory(), lowers.back().get()));
  ASSIGN_OR_RETURN(const auto credentials, QuotaCredentials::For(writable.upper.get()));
  if (method_ == RootfsMethod::kBest) {
    auto root =
        OverlayByDescriptors(lowers, writable.upper.get(), writable.work.get(), spec.mount_label());
    if (root) {
      ASSIGN_OR_RETURN(auto folder, OpenFile(scratch_folder_ + "/root", O_PATH | O_DIRECTORY));
      RETURN_IF_ERROR(AttachMount(root->get(), folder.get()));
      return root;
    }
  }
  return OverlayByPaths(lowers, spec.writable_directory(), spec.mount_label());
}

Result<UniqueFd> RootfsBuilder::MountImage(const spec::ImageMount& image, int user_namespace_fd) {
  ASSIGN_OR_RETURN(auto lowers, OpenLowers(image.rootfs(), user_namespace_fd));
  UniqueFd root;
  bool attached = false;
  if (lowers.size() == 1) {
    root = std::move(lowers.back());
  } else {
    auto overlay = method_ == RootfsMethod::kBest
                       ? OverlayByDescriptors(lowers, -1, -1, image.rootfs().mount_label())
                       : OverlayByPaths(lowers, "", image.rootfs().mount_label());
    attached = method_ == RootfsMethod::kByPath;
    if (!overlay && !attached) {
      overlay = OverlayByPaths(lowers, "", image.rootfs().mount_label());
      attached = true;
    }
    if (!overlay) return overlay;
    root = std::move(*overlay);
  }
  if (image.sub_path().empty() && !attached) return root;
  // Only an attached mount can be copied from (before Linux 6.15).
  if (!attached) {
    ASSIGN_OR_RETURN(root, Attach(std::move(root), fmt::format("o{}-i", next_overlay_++)));
  }
  auto part = OpenInRoot(root.get(), image.sub_path(), O_PATH);
  if (!part)
    return Fail(ErrorCode::kInvalidArgument, "image.sub_path \"{}\": {}", image.sub_path(),
                part.error().message);
  return CloneMount(part->get(), "", Recursion::kOne);
}

}  // namespace catamaran
