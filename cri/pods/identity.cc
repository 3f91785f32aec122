#include "cri/pods/identity.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <sys/random.h>

#include <array>

#include "cri/translate/translate.h"

namespace catamaran {
namespace {

std::string OrderedBytes(const google::protobuf::MessageLite& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  message.SerializeToCodedStream(&coded);
  coded.Trim();
  return bytes;
}

}  // namespace

Result<std::string> NewId() {
  std::array<unsigned char, 32> bytes;
  if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    return FailWithErrno("getrandom");
  std::string id;
  for (unsigned char byte : bytes) id += fmt::format("{:02x}", byte);
  return id;
}

bool IsPodId(std::string_view name) {
  return name.size() == 64 && name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string NameOf(const record::PodRecord& pod) {
  return SandboxName(pod.config().metadata()).value_or("");
}

std::string NameOf(const record::ContainerRecord& container, const record::PodRecord& pod) {
  return ContainerName(container.config().metadata(), pod.config().metadata()).value_or("");
}

std::string Fingerprint(const ::runtime::v1::RunPodSandboxRequest& request) {
  return OrderedBytes(request);
}

std::string Fingerprint(const ::runtime::v1::CreateContainerRequest& request) {
  ::runtime::v1::CreateContainerRequest without_sandbox = request;
  without_sandbox.clear_sandbox_config();
  return OrderedBytes(without_sandbox);
}

std::string Fingerprint(const record::PodRecord& pod) {
  ::runtime::v1::RunPodSandboxRequest request;
  *request.mutable_config() = pod.config();
  request.set_runtime_handler(pod.runtime_handler());
  return OrderedBytes(request);
}

std::string Fingerprint(const record::ContainerRecord& container) {
  ::runtime::v1::CreateContainerRequest request;
  request.set_pod_sandbox_id(container.pod_id());
  *request.mutable_config() = container.config();
  return OrderedBytes(request);
}

}  // namespace catamaran
