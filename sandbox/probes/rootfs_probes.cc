// An image's layer and a container's root, by the engine's own code.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>

#include "sandbox/base/files.h"
#include "sandbox/container/rootfs.h"
#include "sandbox/kernel/mounts.h"
#include "sandbox/probes/engine_probes.h"
#include "sandbox/probes/probe.h"
#include "sandbox/probes/probe_layer.h"

namespace catamaran {
namespace {

constexpr char kNewKernel[] = "Linux 6.12 or newer, with images on ext4, xfs or btrfs";

// Own mounts, and the folders that the builder attaches to.
Result<RootfsBuilder> Builder(const std::string& scratch, RootfsMethod method) {
  if (unshare(CLONE_NEWNS) != 0) return FailWithErrno("make a mount namespace");
  RETURN_IF_ERROR(LeavePeerGroups());
  RETURN_IF_ERROR(RootfsBuilder::MakeScratchFolders(scratch + "/mounts"));
  return RootfsBuilder(scratch + "/mounts", method);
}

Status CheckContent(const UniqueFd& root) {
  ASSIGN_OR_RETURN(const std::string content, ReadFileAt(root.get(), kProbeFile, 4096));
  if (content != kProbeContent)
    return Fail(ErrorCode::kDataLoss, "the image shows other bytes than were written to it");
  return {};
}

spec::RootfsSpec SpecOf(const std::string& scratch) {
  spec::RootfsSpec spec;
  spec.add_layers()->set_blob(scratch + "/" + kProbeLayer);
  spec.set_writable_directory(scratch + "/writable");
  return spec;
}

Result<Finding> TryLayer(const std::string& scratch) {
  const std::string blob = scratch + "/" + kProbeLayer;
  const auto from_file = MakeFilesystem("erofs", {{"source", blob}, {"ro"}}, MOUNT_ATTR_RDONLY);
  if (from_file) {
    RETURN_IF_ERROR(CheckContent(*from_file));
    return Works("an image mounts straight from its file");
  }
  // As the engine does for older kernels: a loop device for each layer.
  ASSIGN_OR_RETURN(auto builder, Builder(scratch, RootfsMethod::kByPath));
  spec::ImageMount image;
  *image.mutable_rootfs() = SpecOf(scratch);
  auto mounted = builder.MountImage(image);
  if (!mounted)
    return Fail(ErrorCode::kFailedPrecondition, "{}; by a loop device: {}",
                from_file.error().message, mounted.error().message);
  RETURN_IF_ERROR(CheckContent(*mounted));
  return Finding{"", FindingStatus::kDegraded,
                 "only by a loop device; straight from the file: " + from_file.error().message,
                 "pods run, each layer of an image takes a loop device while it is used",
                 kNewKernel};
}

// The layers of an image merged by descriptor, as mounts that are attached nowhere.
Status TryOverlayByDescriptors(const std::string& scratch) {
  std::vector<MountParameter> parameters;
  std::vector<UniqueFd> lowers;
  for (const char* name : {"/lower", "/upper-lower"}) {
    RETURN_IF_ERROR(MakeDirectories(scratch + name, 0755));
    ASSIGN_OR_RETURN(lowers.emplace_back(), OpenFile(scratch + name, O_RDONLY | O_DIRECTORY));
    parameters.push_back({"lowerdir+", std::nullopt, lowers.back().get()});
  }
  return MakeFilesystem("overlay", parameters, 0).map([](const UniqueFd&) {});
}

Result<Finding> TryRoot(const std::string& scratch) {
  const Status by_descriptors = TryOverlayByDescriptors(scratch);
  ASSIGN_OR_RETURN(auto builder,
                   Builder(scratch, by_descriptors ? RootfsMethod::kBest : RootfsMethod::kByPath));
  spec::RootfsSpec spec = SpecOf(scratch);
  // What the layer's own line says is not said again: without it, over a folder.
  if (!MakeFilesystem("erofs", {{"source", spec.layers(0).blob()}, {"ro"}}, MOUNT_ATTR_RDONLY)) {
    spec.clear_layers();
    RETURN_IF_ERROR(MakeDirectories(scratch + "/lower", 0755));
    spec.add_lower_directories(scratch + "/lower");
  }
  ASSIGN_OR_RETURN(const UniqueFd root, builder.MountContainerRoot(spec));
  ASSIGN_OR_RETURN(const UniqueFd file,
                   OpenFileAt(root.get(), kProbeFile, O_RDWR | O_CREAT | O_TRUNC, 0600));
  RETURN_IF_ERROR(WriteAll(file.get(), "changed\n"));
  if (by_descriptors) return Works("a writable root over an image, given by descriptors");
  return Finding{"", FindingStatus::kDegraded,
                 "only by paths; by descriptors: " + by_descriptors.error().message,
                 "pods run, starting a container takes a few mounts more", "Linux 6.13 or newer"};
}

}  // namespace

void ProbeRootfs(const std::string& scratch, const ProbeRunner& run) {
  run({.name = "erofs",
       .meaning = "no container starts: images are kept as EROFS",
       .remedy = "modprobe erofs loop (a kernel with CONFIG_EROFS_FS)",
       .run = [&] { return TryLayer(scratch); }});
  run({.name = "overlay",
       .meaning = "no container starts",
       .remedy = "modprobe overlay; root on a file system that overlayfs writes to: ext4, "
                 "xfs or btrfs",
       .run = [&] { return TryRoot(scratch); }});
}

}  // namespace catamaran
