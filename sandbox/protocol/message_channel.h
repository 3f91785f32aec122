#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/base/unique_function.h"
#include "sandbox/kernel/event_loop.h"

namespace catamaran {

enum class MessageType : uint8_t {
  kRequest = 1,   // body: pod::Request
  kResponse = 2,  // body: pod::Response
  kEvent = 3,     // body: pod::Event
  // Standard streams over a byte stream; `stream` names which.
  kData = 4,
  kEnd = 5,     // the sender's end of file
  kStop = 6,    // the receiver's reader is gone: send no more
  kCredit = 7,  // body: a little-endian uint32, bytes that may be sent in addition
};

struct Message {
  MessageType type = MessageType::kRequest;
  uint32_t stream = 0;
  std::string body;
  std::vector<UniqueFd> fds;  // only where the channel passes descriptors
};

// Bounds on what a peer can make this side hold.
struct ChannelLimits {
  size_t max_message = 8 << 20;  // of one message's body
  size_t max_queued = 16 << 20;  // bytes not yet taken by the peer; Send fails beyond
  size_t bulk_room = 256 << 10;  // HasRoom() is false beyond
  size_t max_fds = 16;           // in one message
};

// Messages between two processes, both ways, on an event loop. Two transports: a unix socket,
// which also passes descriptors (ConnectUnixChannel), and any byte stream, such as a virtio-serial
// port (StreamChannel). Neither trusts its peer: what is malformed, endless or too large ends the
// connection or is skipped, and memory stays below the limits.
//
// Used from the loop's thread only. May be destroyed from within its own callbacks.
class MessageChannel {
 public:
  struct Callbacks {
    UniqueFunction<void(Message)> on_message;
    // A session began: everything of an earlier one is void. At once for a unix socket; over a
    // byte stream when both sides agreed on an epoch, and again whenever a client connects anew.
    UniqueFunction<void()> on_session;
    // The peer is gone or broke the rules; once, and nothing comes after it.
    UniqueFunction<void(const Error&)> on_closed;
    // HasRoom() became true again.
    UniqueFunction<void()> on_room;
  };
  // Urgent messages overtake bulk ones; each kind stays in order.
  enum class Order { kUrgent, kBulk };

  virtual ~MessageChannel() = default;

  // Begins to read. Callbacks run from the loop, never from within Start or Send.
  virtual Status Start(Callbacks callbacks) = 0;
  // Queues a message. kResourceExhausted: the peer does not read (EndSession is the remedy);
  // kUnavailable: no peer; kInvalidArgument: it is larger than the limits allow.
  virtual Status Send(Message message, Order order = Order::kUrgent) = 0;
  virtual bool HasRoom() const = 0;
  virtual bool Idle() const = 0;  // everything sent was taken by the kernel
  // Stops and resumes reading: what back-pressure on requests is made of.
  virtual void PauseReading(bool paused) = 0;
  // Drops what is queued and the peer. A server's byte stream then waits for the next session;
  // everything else reports on_closed.
  virtual void EndSession() = 0;
  virtual bool passes_descriptors() const = 0;
};

}  // namespace catamaran
