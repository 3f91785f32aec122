#pragma once

#include <string>
#include <string_view>

#include "cri/telemetry/calls_in_flight.h"

namespace catamaran {

// What a message of the CRI says of whom it is about; "" where it says nothing.

template <typename Message>
std::string PodIdOf(const Message& message) {
  if constexpr (requires { message.pod_sandbox_id(); }) return message.pod_sandbox_id();
  return "";
}

template <typename Message>
std::string ContainerIdOf(const Message& message) {
  if constexpr (requires { message.container_id(); }) return message.container_id();
  return "";
}

template <typename Message>
std::string ImageOf(const Message& message) {
  if constexpr (requires { message.image().image(); }) return message.image().image();
  return "";
}

// "namespace/name" of the pod that a request is about, where it says so.
template <typename Message>
std::string PodNameOf(const Message& message) {
  [[maybe_unused]] const auto name = [](const auto& metadata) {
    return metadata.name().empty() ? "" : metadata.namespace_() + "/" + metadata.name();
  };
  if constexpr (requires { message.config().metadata().namespace_(); })
    return name(message.config().metadata());
  else if constexpr (requires { message.sandbox_config().metadata(); })
    return name(message.sandbox_config().metadata());
  return "";
}

template <typename Message>
std::string ContainerNameOf(const Message& message) {
  if constexpr (requires { message.pod_sandbox_id(), message.config().metadata().attempt(); })
    return message.config().metadata().name();
  return "";
}

template <typename Message>
CallsInFlight::Call DescribeCall(std::string_view name, const Message& request) {
  CallsInFlight::Call call{.method = std::string(name),
                           .pod = PodIdOf(request),
                           .container = ContainerIdOf(request),
                           .image = ImageOf(request)};
  if (call.pod.empty()) call.pod = PodNameOf(request);
  if (call.container.empty()) call.container = ContainerNameOf(request);
  return call;
}

}  // namespace catamaran
