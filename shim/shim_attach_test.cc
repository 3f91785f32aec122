// Clients attached to containers of the real shim.
#include <fcntl.h>

#include <thread>

#include "shim/shim_test_util.h"

namespace catamaran {
namespace {

class ShimAttachTest : public ShimProcessTest {
 protected:
  struct Client {
    UniqueFd in, out;
  };
  void SetUp() override {
    ShimProcessTest::SetUp();
    ASSERT_TRUE(Spawn());
    ASSERT_TRUE(MakeSandbox());
    pod::CreateContainerRequest request;
    request.mutable_container()->set_container_id("cat");
    request.mutable_container()->set_log_path(LogPath("cat"));
    request.mutable_container()->set_stdin(true);
    request.mutable_container()->mutable_process()->add_args("cat");
    ASSERT_TRUE(client_->CreateContainer(request, Soon()));
  }
  Result<Client> Attach() {
    ASSIGN_OR_RETURN(Pipe pipe, MakePipe());
    Stdio stdio;
    stdio.out = std::move(pipe.write_end);
    pod::AttachRequest request;
    request.set_container_id("cat");
    request.set_in(true);
    ASSIGN_OR_RETURN(UniqueFd in, client_->Attach(request, std::move(stdio), Soon()));
    return Client{std::move(in), std::move(pipe.read_end)};
  }
  static std::string Read(const Client& client, size_t size) {
    std::string text(size, '\0');
    size_t got = 0;
    while (got < size) {
      const ssize_t count = read(client.out.get(), text.data() + got, size - got);
      if (count <= 0) break;
      got += static_cast<size_t>(count);
    }
    text.resize(got);
    return text;
  }
  void EndInput() {
    pod::CloseStdinRequest request;
    request.mutable_process()->set_container_id("cat");
    ASSERT_TRUE(client_->CloseStdin(request, Soon()));
  }
};

TEST_F(ShimAttachTest, AllClientsGetTheOutputAndSoDoesTheLog) {
  EXPECT_EQ(Attach().error().code, ErrorCode::kFailedPrecondition) << "it has not begun";
  ASSERT_TRUE(Start("cat"));
  auto first = Attach(), second = Attach();
  ASSERT_TRUE(first && second);
  ASSERT_TRUE(WriteAll(first->in.get(), "one\n"));
  ASSERT_TRUE(WriteAll(second->in.get(), "two\n"));
  EXPECT_EQ(Read(*first, 8).size(), 8u);
  EXPECT_EQ(Read(*second, 8).size(), 8u);
  // A client that leaves is no end of the input.
  first->in.Reset();
  first->out.Reset();
  ASSERT_TRUE(WriteAll(second->in.get(), "three\n"));
  EXPECT_EQ(Read(*second, 6), "three\n");
  second->in.Reset();
  EndInput();
  EXPECT_EQ(events_.ExitOf("cat").exit_code(), 0);
  EXPECT_EQ(Read(*second, 1), "") << "its end is the container's";
  LogContent log;
  ReadLog(LogPath("cat"), log);
  EXPECT_EQ(log.out.size(), 14u);
  EXPECT_EQ(Attach().error().code, ErrorCode::kFailedPrecondition);
}

TEST_F(ShimAttachTest, AClientThatDoesNotReadIsDroppedAndNothingOfTheLogIsLost) {
  ASSERT_TRUE(Start("cat"));
  auto stalled = Attach(), other = Attach();
  ASSERT_TRUE(stalled && other);
  const std::string line(1023, 'x');
  constexpr size_t kLines = 1024;
  std::thread writer([&] {
    for (size_t i = 0; i < kLines; ++i) ASSERT_TRUE(WriteAll(other->in.get(), line + "\n"));
  });
  EXPECT_EQ(Read(*other, kLines * 1024).size(), kLines * 1024);
  writer.join();
  // What was in its pipe, and then the end.
  EXPECT_LT(Read(*stalled, kLines * 1024).size(), kLines * 1024);
  stalled->in.Reset();
  other->in.Reset();
  EndInput();
  events_.ExitOf("cat");
  LogContent log;
  ReadLog(LogPath("cat"), log);
  EXPECT_EQ(log.out.size(), kLines * 1024);
}

TEST_F(ShimAttachTest, UnknownContainersAndStreamsThatAreNotThere) {
  ASSERT_TRUE(Create("silent", {"sleep"}));
  ASSERT_TRUE(Start("silent"));
  pod::AttachRequest request;
  request.set_container_id("silent");
  request.set_in(true);
  const auto in = client_->Attach(request, {}, Soon());
  ASSERT_TRUE(in) << in.error().message;
  EXPECT_FALSE(in->valid()) << "it keeps no standard input";
  request.set_container_id("other");
  EXPECT_EQ(client_->Attach(request, {}, Soon()).error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace catamaran
