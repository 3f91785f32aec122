#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace catamaran {

// One client's connection, which carries several streams both ways, whatever the protocol. One
// thread; nothing blocks. No protocol here has flow control by stream: a side that does not take
// its bytes holds up the connection.
class StreamConnection {
 public:
  using Headers = std::map<std::string, std::string>;  // names in lower case
  using Clock = std::chrono::steady_clock;

  // Called from the connection's thread, never from within a method below except Start.
  class Listener {
   public:
    virtual ~Listener() = default;
    // The client opens a stream; false refuses it. Nothing may be sent on it before this returns.
    virtual bool OnOpen(uint32_t stream, const Headers& headers) = 0;
    virtual void OnData(uint32_t stream, std::string_view bytes) = 0;
    virtual void OnEnd(uint32_t stream) = 0;    // the client sends nothing more on it
    virtual void OnReset(uint32_t stream) = 0;  // and wants nothing more either
    virtual void OnRoom() = 0;                  // HasRoom() became true again
    // The connection is over, by Finish or by the client. Once; the last call.
    virtual void OnClosed() = 0;
  };

  virtual ~StreamConnection() = default;
  virtual void Start(Listener& listener) = 0;

  // What a client sees of a stream. Nothing happens where there is no such stream (any more).
  virtual void Send(uint32_t stream, std::string_view bytes) = 0;
  virtual void End(uint32_t stream) = 0;
  virtual void Reset(uint32_t stream) = 0;
  // Whoever sends more than a little waits for room.
  virtual bool HasRoom() const = 0;
  virtual void PauseReading(bool paused) = 0;

  virtual void Finish() = 0;  // sends what is queued and says goodbye
  virtual void Abort() = 0;   // at once

  // When something was last read or written.
  virtual Clock::time_point last_activity() const = 0;
};

// Bytes that may be queued for a client before its sources are not read any more.
inline constexpr size_t kClientRoom = 256 << 10;
// A client that makes this side queue more (by pings, by refused streams) reads nothing.
inline constexpr size_t kMostQueued = 4 << 20;

}  // namespace catamaran
