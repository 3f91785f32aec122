#include "cri/install/guest_build.h"

#include <unistd.h>

#include "sandbox/base/files.h"

namespace catamaran {
namespace {

Result<std::string> Beside(const ConfigPlaces& places, const char* name) {
  const HostPath file = places.program_directory / name;
  if (access(file.c_str(), X_OK) == 0) return file.string();
  return FailWithErrno("{} should be there, as installed with this program", file.string());
}

}  // namespace

Status GuestBuildCommand(const GuestBuildOptions& options) {
  ASSIGN_OR_RETURN(const ConfigPlaces places, ConfigPlaces::OfThisProgram());
  ASSIGN_OR_RETURN(std::string script, Beside(places, "build-guest.sh"));
  ASSIGN_OR_RETURN(std::string agent, Beside(places, "catamaran-agent"));
  if (!Exists("/usr/bin/apt-get"))
    return Fail(ErrorCode::kFailedPrecondition,
                "the guest is made of Debian's packages, and there is no apt-get here; next: make "
                "it on a Debian machine with the same version (catamaran guest build --output "
                "guest) and copy vmlinuz, initramfs.img and writable.img (cp --sparse=always) to "
                "{}",
                options.output);
  if (auto made = MakeDirectories(options.output, 0700); !made) {
    Error error = std::move(made).error();
    if (error.code == ErrorCode::kPermissionDenied)
      error.message += "; run it as root, or give --output a folder of yours";
    return tl::unexpected<Error>(std::move(error));
  }
  if (options.update) setenv("GUEST_UPDATE", "1", 1);
  if (options.offline) setenv("GUEST_OFFLINE", "1", 1);
  std::string output = options.output;
  std::string kernel = options.kernel;
  char* const arguments[] = {script.data(), output.data(), agent.data(), kernel.data(), nullptr};
  execv(arguments[0], arguments);
  return FailWithErrno("run {}", script);
}

}  // namespace catamaran
