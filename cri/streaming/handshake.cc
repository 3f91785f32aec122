#include "cri/streaming/handshake.h"

#include <algorithm>

#include "cri/base/text.h"

namespace catamaran {
namespace {

using Carrier = StreamProtocol::Carrier;

const std::vector<StreamProtocol>& Served(bool web_socket, StreamTicket::Kind kind) {
  static const std::vector<StreamProtocol> spdy_process = {
      {Carrier::kSpdy, "v4.channel.k8s.io", 4, false},
      {Carrier::kSpdy, "v3.channel.k8s.io", 3, false},
      {Carrier::kSpdy, "v2.channel.k8s.io", 2, false},
      {Carrier::kSpdy, "channel.k8s.io", 1, false},
  };
  static const std::vector<StreamProtocol> spdy_ports = {
      {Carrier::kSpdy, "portforward.k8s.io", 1, false}};
  static const std::vector<StreamProtocol> web_process = {
      {Carrier::kWebSocket, "v5.channel.k8s.io", 5, false},
      {Carrier::kWebSocket, "v4.channel.k8s.io", 4, false},
      {Carrier::kWebSocket, "v4.base64.channel.k8s.io", 4, true},
      {Carrier::kWebSocket, "channel.k8s.io", 1, false},
      {Carrier::kWebSocket, "base64.channel.k8s.io", 1, true},
  };
  static const std::vector<StreamProtocol> web_ports = {
      {Carrier::kSpdyInWebSocket, "SPDY/3.1+portforward.k8s.io", 1, false},
      {Carrier::kWebSocket, "v4.channel.k8s.io", 4, false},
      {Carrier::kWebSocket, "v4.base64.channel.k8s.io", 4, true},
  };
  const bool ports = kind == StreamTicket::Kind::kPortForward;
  if (web_socket) return ports ? web_ports : web_process;
  return ports ? spdy_ports : spdy_process;
}

bool Contains(const std::vector<std::string>& list, std::string_view word) {
  return std::any_of(list.begin(), list.end(),
                     [word](const std::string& item) { return ToLower(item) == word; });
}

HttpRefusal NoneInCommon(const std::vector<StreamProtocol>& served, const char* header) {
  HttpRefusal refusal{
      403,
      "none of the protocols in " + std::string(header) + " is known to this server, which has:",
      {}};
  for (const StreamProtocol& protocol : served) {
    refusal.text += " " + protocol.name;
    refusal.headers.emplace_back("X-Accepted-Stream-Protocol-Versions", protocol.name);
  }
  return refusal;
}

}  // namespace

std::vector<std::string> UpgradeRequest::List(std::string_view name) const {
  std::vector<std::string> items;
  for (const auto& [key, line] : headers) {
    if (key != name) continue;
    for (size_t at = 0; at <= line.size();) {
      const size_t end = std::min(line.find(',', at), line.size());
      std::string_view item = std::string_view(line).substr(at, end - at);
      while (!item.empty() && (item.front() == ' ' || item.front() == '\t')) item.remove_prefix(1);
      while (!item.empty() && (item.back() == ' ' || item.back() == '\t')) item.remove_suffix(1);
      if (!item.empty()) items.emplace_back(item);
      at = end + 1;
    }
  }
  return items;
}

tl::expected<StreamProtocol, HttpRefusal> ChooseProtocol(const UpgradeRequest& request,
                                                         StreamTicket::Kind kind) {
  const auto upgrade = request.List("upgrade");
  const bool upgrades = Contains(request.List("connection"), "upgrade");
  const bool web_socket = upgrades && Contains(upgrade, "websocket");
  const char* const header = web_socket ? "sec-websocket-protocol" : "x-stream-protocol-version";
  const auto offered = request.List(header);
  if (offered.empty() && web_socket) return StreamProtocol{Carrier::kWebSocket, "", 1, false};
  if (offered.empty()) {
    return tl::unexpected(HttpRefusal{
        400, "X-Stream-Protocol-Version is missing: the protocols this client speaks", {}});
  }
  const auto& served = Served(web_socket, kind);
  for (const std::string& name : offered) {
    const auto found = std::find_if(served.begin(), served.end(), [&name](const auto& protocol) {
      return protocol.name == name;
    });
    if (found == served.end()) continue;
    if (web_socket || (upgrades && Contains(upgrade, "spdy/3.1"))) return *found;
    return tl::unexpected(HttpRefusal{
        400,
        "no upgrade to SPDY/3.1 or websocket is asked for: Connection and Upgrade say so",
        {}});
  }
  return tl::unexpected(NoneInCommon(served, header));
}

}  // namespace catamaran
