#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "sandbox/base/deadline.h"
#include "sandbox/base/files.h"
#include "sandbox/kernel/unix_socket.h"
#include "sandbox/protocol/message_channel.h"

namespace catamaran {

// Turns the loop until `condition` holds; fails the test after 30 seconds.
inline void RunUntil(EventLoop& loop, const std::function<bool()>& condition,
                     const char* what = "condition") {
  const Deadline deadline = Deadline::After(std::chrono::seconds(30));
  while (!condition()) {
    ASSERT_FALSE(deadline.expired()) << "waited 30 s for " << what;
    ASSERT_TRUE(loop.RunOnce(std::chrono::milliseconds(50)));
  }
}

// A channel with everything that it reported.
struct Recorder {
  std::unique_ptr<MessageChannel> channel;
  std::vector<Message> messages;
  int sessions = 0;
  int rooms = 0;
  std::vector<Error> closed;

  void Start() {
    MessageChannel::Callbacks callbacks;
    callbacks.on_message = [this](Message message) { messages.push_back(std::move(message)); };
    callbacks.on_session = [this] { ++sessions; };
    callbacks.on_closed = [this](const Error& error) { closed.push_back(error); };
    callbacks.on_room = [this] { ++rooms; };
    ASSERT_TRUE(channel->Start(std::move(callbacks)));
  }
};

inline Message MakeMessage(MessageType type, std::string body, uint32_t stream = 0) {
  Message message;
  message.type = type;
  message.stream = stream;
  message.body = std::move(body);
  return message;
}

}  // namespace catamaran
