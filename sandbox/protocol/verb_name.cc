#include "sandbox/protocol/verb_name.h"

namespace catamaran {

// The lite runtime knows no names.
std::string_view VerbName(const pod::Request& request) {
  switch (request.verb_case()) {
    case pod::Request::kHello:
      return "Hello";
    case pod::Request::kCreateSandbox:
      return "CreateSandbox";
    case pod::Request::kDestroySandbox:
      return "DestroySandbox";
    case pod::Request::kCreateContainer:
      return "CreateContainer";
    case pod::Request::kStartContainer:
      return "StartContainer";
    case pod::Request::kSignal:
      return "Signal";
    case pod::Request::kRemoveContainer:
      return "RemoveContainer";
    case pod::Request::kExec:
      return "Exec";
    case pod::Request::kCloseStdin:
      return "CloseStdin";
    case pod::Request::kResizeTerminal:
      return "ResizeTerminal";
    case pod::Request::kUpdateResources:
      return "UpdateResources";
    case pod::Request::kStats:
      return "Stats";
    case pod::Request::kList:
      return "List";
    case pod::Request::kDialPort:
      return "DialPort";
    case pod::Request::kPause:
      return "Pause";
    case pod::Request::kResume:
      return "Resume";
    case pod::Request::kCheckpoint:
      return "Checkpoint";
    case pod::Request::kRestore:
      return "Restore";
    case pod::Request::kReopenLog:
      return "ReopenLog";
    case pod::Request::kShutdown:
      return "Shutdown";
    case pod::Request::kPrepareSandbox:
      return "PrepareSandbox";
    case pod::Request::kAttach:
      return "Attach";
    case pod::Request::VERB_NOT_SET:
      break;
  }
  return "request";
}

}  // namespace catamaran
