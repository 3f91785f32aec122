#include "cri/translate/fields.h"
#include "cri/translate/parts.h"

namespace catamaran {
namespace {

constexpr uint32_t kFormatVersion = 1;
constexpr int kSigterm = 15;  // as SIGTERM, on every architecture

// The request's signal, else the image's, else SIGTERM.
Result<int> StopSignal(const ContainerInput& input) {
  if (input.config.stop_signal() != runtime::v1::SIGNAL_RUNTIME_DEFAULT) {
    auto number = SignalNumber(input.config.stop_signal());
    if (!number) return tl::unexpected(std::move(number).error().While("config"));
    return number;
  }
  if (input.image.config.stop_signal.empty()) return kSigterm;
  auto number = SignalNumber(input.image.config.stop_signal);
  if (!number) return tl::unexpected(std::move(number).error().While("the image's configuration"));
  return number;
}

Result<std::string> LogPath(const ContainerInput& input) {
  const std::string& folder = input.sandbox_config.log_directory();
  if (folder.empty() || input.config.log_path().empty()) return std::string();
  ASSIGN_OR_RETURN(const std::string file,
                   CheckRelativePath("config.log_path", input.config.log_path()));
  ASSIGN_OR_RETURN(const std::string checked_folder,
                   CheckAbsolutePath("sandbox_config.log_directory", folder));
  return checked_folder + "/" + file;
}

Status TranslateLimits(const ContainerInput& input, spec::ContainerSpec* out) {
  const std::string field = "config.linux.resources";
  const auto& resources = input.config.linux().resources();
  ASSIGN_OR_RETURN(*out->mutable_resources(),
                   TranslateResources(resources, field, input.handler, input.host));
  if (resources.memory_swap_limit_in_bytes() > 0 && resources.memory_limit_in_bytes() == 0) {
    return WrongField(field + ".memory_swap_limit_in_bytes", resources.memory_swap_limit_in_bytes(),
                      "0 where memory_limit_in_bytes is 0");
  }
  return {};
}

}  // namespace

Result<spec::ContainerSpec> TranslateContainer(const ContainerInput& input) {
  RETURN_IF_ERROR(RefuseUnsupported(input.config));
  RETURN_IF_ERROR(ContainerName(input.config.metadata(), input.sandbox_config.metadata()));
  spec::ContainerSpec out;
  out.set_format_version(kFormatVersion);
  out.set_container_id(input.id.value());
  out.mutable_annotations()->insert(input.config.annotations().begin(),
                                    input.config.annotations().end());
  RETURN_IF_ERROR(TranslateProcess(input, out.mutable_process()));
  RETURN_IF_ERROR(TranslateSecurity(input, &out));
  RETURN_IF_ERROR(
      TranslateContainerNamespaces(input.config.linux().security_context(), input.sandbox, &out));
  RETURN_IF_ERROR(TranslateMounts(input, &out));
  RETURN_IF_ERROR(TranslateDevices(input, &out));
  RETURN_IF_ERROR(TranslateLimits(input, &out));
  ASSIGN_OR_RETURN(const int stop_signal, StopSignal(input));
  out.set_stop_signal(stop_signal);
  ASSIGN_OR_RETURN(*out.mutable_log_path(), LogPath(input));
  out.set_stdin(input.config.stdin());
  out.set_stdin_once(input.config.stdin() && input.config.stdin_once());
  return out;
}

}  // namespace catamaran
