#include "sandbox/kernel/unix_socket.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>

#include "sandbox/base/files.h"

namespace catamaran {
namespace {

size_t OpenDescriptors() { return ListDirectory("/proc/self/fd").value().size(); }

TEST(UnixSocket, IsPrivateReplacesALeftoverAndWorksBeyondSunPath) {
  auto folder = std::filesystem::temp_directory_path() /
                ("catamaran-socket-" + std::to_string(getpid()) + std::string(150, 'x'));
  ASSERT_TRUE(MakeDirectories(folder));
  const std::string path = folder / "shim.sock";
  ASSERT_GT(path.size(), 108u);
  { auto leftover = ListenUnix(path); }
  auto listener = ListenUnix(path);
  ASSERT_TRUE(listener) << listener.error().message;
  struct stat status;
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  auto client = ConnectUnix(path);
  ASSERT_TRUE(client) << client.error().message;
  UniqueFd server(accept4(listener->get(), nullptr, nullptr, SOCK_CLOEXEC));
  ASSERT_TRUE(server.valid());
  EXPECT_TRUE(CheckPeer(server.get()));
  ASSERT_TRUE(RemoveTree(folder));
}

TEST(UnixSocket, PassesDescriptorsBesideTheBytes) {
  auto [left, right] = MakeSocketPair(SOCK_SEQPACKET).value();
  auto pipe = MakePipe().value();
  const auto sent =
      SendWithDescriptors(left.get(), "hello", std::array{pipe.read_end.get(), left.get()});
  ASSERT_TRUE(sent) << sent.error().message;
  EXPECT_EQ(*sent, 5u);
  char buffer[64];
  const auto received = ReceiveWithDescriptors(right.get(), buffer, 2);
  ASSERT_TRUE(received) << received.error().message;
  EXPECT_EQ(std::string_view(buffer, received->size), "hello");
  ASSERT_EQ(received->descriptors.size(), 2u);
  EXPECT_EQ(fcntl(received->descriptors[0].get(), F_GETFD), FD_CLOEXEC);
  ASSERT_TRUE(WriteAll(pipe.write_end.get(), "x"));
  EXPECT_EQ(read(received->descriptors[0].get(), buffer, sizeof buffer), 1);
}

// The padding of a control message has room for one more than an odd number.
TEST(UnixSocket, KeepsNoDescriptorOfAPeerThatPassesTooMany) {
  for (const size_t most : {0, 1, 2, 3}) {
    auto [left, right] = MakeSocketPair(SOCK_SEQPACKET).value();
    const std::vector<int> passed(most + 1, left.get());
    ASSERT_TRUE(SendWithDescriptors(left.get(), "x", passed));
    const size_t before = OpenDescriptors();
    char buffer[64];
    const auto received = ReceiveWithDescriptors(right.get(), buffer, most);
    ASSERT_FALSE(received) << most;
    EXPECT_EQ(received.error().code, ErrorCode::kResourceExhausted);
    EXPECT_EQ(OpenDescriptors(), before) << most;
  }
}

TEST(UnixSocket, TellsTheEndFromNothingYet) {
  auto [left, right] = MakeSocketPair(SOCK_STREAM | SOCK_NONBLOCK).value();
  char buffer[64];
  auto received = ReceiveWithDescriptors(right.get(), buffer, 1);
  ASSERT_FALSE(received);
  EXPECT_EQ(received.error().system_errno, EAGAIN);
  left.Reset();
  received = ReceiveWithDescriptors(right.get(), buffer, 1);
  ASSERT_TRUE(received);
  EXPECT_EQ(received->size, 0u);
  EXPECT_EQ(SendWithDescriptors(right.get(), "x", {}).error().system_errno, EPIPE);
}

}  // namespace
}  // namespace catamaran
