#pragma once

#include <google/protobuf/descriptor.h>

#include <string>
#include <vector>

namespace catamaran {

// One field that a caller of the interface can set or read: "RunPodSandboxRequest.config.hostname".
// Elements of lists and values of maps are not numbered: a list's fields stand for those of each.
struct FieldPath {
  std::string path;
  const google::protobuf::FieldDescriptor* field;
};

// Every field of every request and answer of the file's services, in the order of the services and
// of the fields' declarations. A field that holds a message with fields is represented by those;
// Int64Value and UInt64Value count as numbers. Messages must not contain themselves.
std::vector<FieldPath> FieldPathsOf(const google::protobuf::FileDescriptor& file);

// The fields of messages that no request and no answer holds, as "Message.field".
std::vector<std::string> FieldsWithoutAPath(const google::protobuf::FileDescriptor& file);

}  // namespace catamaran
