#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/base/result.h"

namespace catamaran {

// The two layers between the socket and the calls of the Node Resource Interface. The socket
// carries frames (connection id, length, payload; big endian), which multiplex two connections; a
// connection carries ttRPC messages (length, stream id, type, flags, payload), of which one may
// spread over several frames.
inline constexpr uint32_t kPluginConnection = 1;   // its calls are served by the plugin
inline constexpr uint32_t kRuntimeConnection = 2;  // its calls are served by the runtime
inline constexpr size_t kLongestTtrpcMessage = 4 << 20;
inline constexpr uint8_t kTtrpcRequest = 1;
inline constexpr uint8_t kTtrpcResponse = 2;

struct TtrpcMessage {
  uint32_t connection = 0;
  uint32_t stream = 0;
  uint8_t type = 0;
  uint8_t flags = 0;
  std::string payload;
};

// Takes a peer's bytes apart. Hostile input: what it holds is bounded by what has arrived, at most
// one message for each of the two connections and what was fed last.
class FrameReader {
 public:
  // Appends the messages that these bytes complete. kInvalidArgument where the peer breaks the
  // protocol: nothing more can be read then. What is sent on other connections is skipped.
  Status Feed(std::string_view bytes, std::vector<TtrpcMessage>* messages);

 private:
  Status ReadFrameHeader();
  Status TakeMessages(uint32_t connection, std::vector<TtrpcMessage>* messages);

  std::string header_;         // of the frame that is being read, while incomplete
  uint32_t connection_ = 0;    // of that frame
  uint32_t payload_left_ = 0;  // of that frame
  bool in_payload_ = false;
  std::map<uint32_t, std::string> unread_;  // by connection: the beginning of a message
};

// The frames of one message. kResourceExhausted for a payload longer than kLongestTtrpcMessage.
Result<std::string> EncodeTtrpcMessage(const TtrpcMessage& message);

}  // namespace catamaran
