// A plugin of the Node Resource Interface that a runtime installs and starts: it gives every
// container the variable GREETING with the text of its own configuration.
#include <atomic>
#include <cstdio>
#include <cstdlib>

#include "cri/nri/testing/test_plugin.h"

int main() {
  using namespace catamaran;
  const char* socket = getenv("NRI_PLUGIN_SOCKET");
  if (socket == nullptr) {
    fprintf(stderr, "NRI_PLUGIN_SOCKET is not set: a runtime starts this program\n");
    return 1;
  }
  std::atomic<TestPlugin*> self = nullptr;
  const auto plugin = TestPlugin::Begin(
      UniqueFd(atoi(socket)),
      {.answer = [&self](const std::string& method, const std::string&) -> Result<std::string> {
        if (method != "CreateContainer" || self == nullptr) return std::string();
        catamaran::nri::CreateContainerResponse response;
        auto* variable = response.mutable_adjust()->add_env();
        variable->set_key("GREETING");
        variable->set_value(self.load()->config());
        return response.SerializeAsString();
      }});
  if (!plugin) {
    fprintf(stderr, "%s\n", plugin.error().message.c_str());
    return 1;
  }
  self = plugin->get();
  (*plugin)->WaitUntilClosed(Deadline::After(std::chrono::hours(24 * 365)));
}
