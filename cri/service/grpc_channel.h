#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "cri/config/config.h"

namespace catamaran {

// Errors of a daemon have our codes' numbers, which are gRPC's.
inline Error ErrorOf(const grpc::Status& status) {
  return {static_cast<ErrorCode>(status.error_code()), 0, status.error_message()};
}

// To a socket named as "unix:///path"; connects with the first call.
inline Result<std::shared_ptr<grpc::Channel>> ChannelTo(
    const std::string& listen, const grpc::ChannelArguments& arguments = {}) {
  ASSIGN_OR_RETURN(const auto path, SocketPathOf(listen));
  return grpc::CreateCustomChannel("unix:" + path.string(), grpc::InsecureChannelCredentials(),
                                   arguments);
}

}  // namespace catamaran
