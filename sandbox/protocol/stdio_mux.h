#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "sandbox/kernel/event_loop.h"
#include "sandbox/protocol/message_channel.h"

namespace catamaran {

// Bytes of one stream that may be under way or waiting for its reader.
inline constexpr uint32_t kStreamWindow = 128 << 10;

// The standard streams of many processes over one channel. A stream goes one way: its source reads
// a descriptor and sends what the receiver's credit allows; its sink writes to a descriptor and
// grants credit for what its reader took, so a slow reader holds up its own stream only and no
// stream holds more than kStreamWindow bytes. Used by both ends; the ids are the client's choice.
// The program must not die of SIGPIPE.
class StdioMux {
 public:
  using Callback = UniqueFunction<void()>;

  StdioMux(EventLoop& loop, MessageChannel& channel);
  ~StdioMux();

  // Takes the descriptor: read until its end, which is sent; or written until the peer's end.
  void AddSource(uint32_t stream, UniqueFd fd);
  void AddSink(uint32_t stream, UniqueFd fd);

  // Runs `done` once everything that is in the source's pipe now was given to the channel, at once
  // where there is no such source. A process's own output is complete then, whoever else still
  // holds its pipe.
  void AfterContents(uint32_t stream, Callback done);
  // The same, and then ends the stream.
  void EndAfterContents(uint32_t stream, Callback done);
  // Runs `done` once everything received so far was written to the sink's descriptor (or its
  // reader is gone).
  void AfterWritten(uint32_t stream, Callback done);
  // Forgets a stream of either kind and closes its descriptor.
  void Remove(uint32_t stream);

  // One of kData, kEnd, kStop, kCredit. An error is a breach of the protocol by the peer.
  Status Handle(Message message);
  void OnRoom();  // the channel has room again

 private:
  class Source;
  class Sink;
  EventLoop& loop_;
  MessageChannel& channel_;
  std::map<uint32_t, std::shared_ptr<Source>> sources_;
  std::map<uint32_t, std::shared_ptr<Sink>> sinks_;
};

}  // namespace catamaran
