#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cri/streaming/stream_tokens.h"

namespace catamaran {

// How a client and the server carry streams over one connection from here on.
struct StreamProtocol {
  enum class Carrier { kSpdy, kWebSocket, kSpdyInWebSocket };
  Carrier carrier = Carrier::kSpdy;
  std::string name;     // as it was chosen; "" where a WebSocket client named none
  int version = 1;      // N of vN.channel.k8s.io
  bool base64 = false;  // WebSocket: text messages

  bool operator==(const StreamProtocol&) const = default;
};

// What a request for an upgrade says, header names in lower case; one entry a line.
struct UpgradeRequest {
  std::vector<std::pair<std::string, std::string>> headers;

  // The items of a header's lines, which are lists with commas; nothing is in lower case.
  std::vector<std::string> List(std::string_view name) const;
};

// An answer that is no upgrade; the text is for the one who typed the command.
struct HttpRefusal {
  unsigned status = 400;
  std::string text;
  std::vector<std::pair<std::string, std::string>> headers;
};

// The first of the client's protocols that the server knows: SPDY/3.1 with
// X-Stream-Protocol-Version lines, or RFC 6455 with Sec-WebSocket-Protocol, as k8s.io/kubelet's
// streaming server has them.
tl::expected<StreamProtocol, HttpRefusal> ChooseProtocol(const UpgradeRequest& request,
                                                         StreamTicket::Kind kind);

}  // namespace catamaran
