#pragma once

#include "sandbox/base/result.h"
#include "vm-backend/templates/template.pb.h"
#include "vm-backend/templates/template_files.h"

namespace catamaran {

// One message over a SOCK_SEQPACKET socket, without blocking. Receiving: system_errno EAGAIN where
// there is nothing yet, kUnavailable at the end of the connection.
Status SendTemplateRequest(int socket, const vm::TemplateRequest& request);
Result<vm::TemplateRequest> ReceiveTemplateRequest(int socket);
// With the template's two descriptors unless `files` is null.
Status SendTemplateReply(int socket, const vm::TemplateReply& reply, const Template* files);
struct ReceivedTemplateReply {
  vm::TemplateReply reply;
  Template files;  // valid where reply.found()
};
Result<ReceivedTemplateReply> ReceiveTemplateReply(int socket);

}  // namespace catamaran
