#include "cri/operate/reload_command.h"

#include "cri/service/grpc_client.h"

namespace catamaran {

Status ConfigReloadCommand(const Config& config) {
  ASSIGN_OR_RETURN(const auto daemon, DaemonClient::Create(config.listen));
  ASSIGN_OR_RETURN(const auto changes, daemon->Reload());
  if (changes.empty()) fmt::print("Read again; nothing changed.\n");
  for (const std::string& change : changes) fmt::print("{}\n", change);
  return {};
}

}  // namespace catamaran
