#include "vm-backend/volumes/volume_channel.h"

#include <gtest/gtest.h>

#include <cstring>

#include "sandbox/base/result.h"

namespace catamaran {
namespace {

constexpr size_t kShortest = 16, kLongest = 1000;
using Mark = VolumeFraming::Mark;

std::string Message(size_t size, char fill) {
  std::string message(size, fill);
  const auto length = static_cast<uint32_t>(size);
  memcpy(message.data(), &length, sizeof length);
  return message;
}

class Channel : public testing::Test {
 protected:
  void Append(std::string_view bytes) {
    reader_.Append(std::as_bytes(std::span(bytes.data(), bytes.size())));
  }
  std::string Sealed(const std::string& message) { return message + std::string(framing_.seal()); }
  // What comes out, as text: a message by its size and last byte, a mark by kind and session. A
  // session that is begun is entered.
  std::string Items() {
    std::string text;
    while (const auto item = reader_.Next()) {
      if (!item->message.empty()) {
        text += fmt::format("{}{} ", item->message.size(), static_cast<char>(item->message.back()));
      } else {
        text += fmt::format("mark{}:{} ", static_cast<uint32_t>(item->mark), item->session);
        reader_.Found();
      }
    }
    return text;
  }

  const VolumeFraming framing_{"a secret of thirty-two bytes, ok."};
  VolumeFrameReader reader_{framing_, kShortest, kLongest};
};

TEST_F(Channel, MessagesComeOutWholeHoweverTheyAreCut) {
  const std::string stream = framing_.MarkBytes(Mark::kBegin, 7) + Sealed(Message(16, 'a')) +
                             Sealed(Message(1000, 'b')) + Sealed(Message(20, 'c'));
  for (const size_t piece : {1u, 3u, 17u, 500u, 5000u}) {
    reader_ = VolumeFrameReader(framing_, kShortest, kLongest);
    std::string items;
    for (size_t at = 0; at < stream.size(); at += piece) {
      Append(std::string_view(stream).substr(at, piece));
      items += Items();
    }
    EXPECT_EQ(items, "mark1:7 16a 1000b 20c ") << piece;
  }
}

TEST_F(Channel, NothingComesOutBeforeASessionBegins) {
  Append(Sealed(Message(16, 'a')) + std::string(100'000, 'x'));
  EXPECT_EQ(Items(), "");
  Append(framing_.MarkBytes(Mark::kBegun, 1) + Sealed(Message(16, 'b')));
  EXPECT_EQ(Items(), "mark2:1 16b ");
}

TEST_F(Channel, AMessageCutShortAnywhereIsDroppedAndTheNextSessionFound) {
  const std::string message = Sealed(Message(900, 'a'));
  for (size_t cut = 0; cut <= message.size(); cut += cut < 40 || cut > 880 ? 1 : 97) {
    reader_ = VolumeFrameReader(framing_, kShortest, kLongest);
    Append(framing_.MarkBytes(Mark::kBegin, 1) + message.substr(0, cut));
    EXPECT_EQ(Items(), cut == message.size() ? "mark1:1 900a " : "mark1:1 ") << cut;
    Append(VolumeFraming::Zeros() + framing_.MarkBytes(Mark::kBegin, 2) + Sealed(Message(16, 'b')));
    EXPECT_EQ(Items(), "mark1:2 16b ") << cut;
  }
}

TEST_F(Channel, AnotherSecretsSealsAndMarksAreNoise) {
  const VolumeFraming other("another secret");
  Append(framing_.MarkBytes(Mark::kBegin, 1));
  EXPECT_EQ(Items(), "mark1:1 ");
  Append(Message(100, 'a') + std::string(other.seal()) + other.MarkBytes(Mark::kBegin, 2));
  EXPECT_EQ(Items(), "");
  Append(framing_.MarkBytes(Mark::kBegin, 3));
  EXPECT_EQ(Items(), "mark1:3 ");
}

TEST_F(Channel, LengthsThatCannotBeAreNotWaitedFor) {
  Append(framing_.MarkBytes(Mark::kBegin, 1));
  EXPECT_EQ(Items(), "mark1:1 ");
  Append(std::string(64, '\xff') + framing_.MarkBytes(Mark::kBegin, 2));
  EXPECT_EQ(Items(), "mark1:2 ");
  Append(Message(8, 'x') + framing_.MarkBytes(Mark::kBegin, 3));
  EXPECT_EQ(Items(), "mark1:3 ");
}

}  // namespace
}  // namespace catamaran
