#include "vm-backend/host/qmp_client.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "sandbox/base/deadline.h"
#include "sandbox/base/files.h"
#include "sandbox/kernel/unix_socket.h"

namespace catamaran {
namespace {

// The test plays QEMU at the other end of a socket.
class QmpClientTest : public testing::Test {
 protected:
  void SetUp() override {
    auto [ours, qemus] = MakeSocketPair(SOCK_STREAM).value();
    qemu_ = std::move(qemus);
    client_.reset();  // before its loop, where a test starts over
    loop_ = *EventLoop::Create();
    client_ = *QmpClient::Create(*loop_, std::move(ours));
  }
  void Say(const std::string& text) { ASSERT_TRUE(WriteAll(qemu_.get(), text)); }
  // What the client has sent so far, one command a line.
  std::vector<nlohmann::json> Heard() {
    char buffer[65536];
    const ssize_t count = recv(qemu_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    std::vector<nlohmann::json> commands;
    std::istringstream lines(std::string(buffer, count > 0 ? static_cast<size_t>(count) : 0));
    for (std::string line; std::getline(lines, line);)
      commands.push_back(nlohmann::json::parse(line));
    return commands;
  }
  Result<nlohmann::json> Answered(const std::string& command) {
    std::optional<Result<nlohmann::json>> answer;
    client_->Execute(command, nlohmann::json::object(), [&](auto result) { answer = result; });
    return Wait(answer);
  }
  Result<nlohmann::json> Wait(std::optional<Result<nlohmann::json>>& answer) {
    const Deadline deadline = Deadline::After(std::chrono::seconds(30));
    while (!answer && !deadline.expired())
      EXPECT_TRUE(loop_->RunOnce(std::chrono::milliseconds(100)));
    if (!answer) return Fail(ErrorCode::kDeadlineExceeded, "the test's own deadline");
    return *answer;
  }

  std::unique_ptr<EventLoop> loop_;
  UniqueFd qemu_;
  std::unique_ptr<QmpClient> client_;
};

TEST_F(QmpClientTest, SendsCommandsWithoutWaitingForTheGreeting) {
  client_->Execute("query-status", {{"a", 1}}, [](auto) {});
  const auto heard = Heard();
  ASSERT_EQ(heard.size(), 2u);
  EXPECT_EQ(heard[0]["execute"], "qmp_capabilities");
  EXPECT_EQ(heard[1]["execute"], "query-status");
  EXPECT_EQ(heard[1]["arguments"]["a"], 1);
}

TEST_F(QmpClientTest, JoinsAnswersToTheirCommandsById) {
  std::optional<Result<nlohmann::json>> first, second;
  client_->Execute("one", nlohmann::json::object(), [&](auto result) { first = result; });
  client_->Execute("two", nlohmann::json::object(), [&](auto result) { second = result; });
  Say("{\"QMP\":{}}\n{\"return\":{},\"id\":1}\n{\"return\":{\"n\":2},\"id\":3}\n"
      "{\"return\":{\"n\":1},\"id\":2}\n");
  EXPECT_EQ((*Wait(first))["n"], 1);
  EXPECT_EQ((*Wait(second))["n"], 2);
}

TEST_F(QmpClientTest, ReportsARefusalInQemusWords) {
  Say("{\"error\":{\"class\":\"GenericError\",\"desc\":\"no such bus\"},\"id\":2}\n");
  const auto answer = Answered("device_add");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::kInternal);
  EXPECT_NE(answer.error().message.find("no such bus"), std::string::npos);
}

TEST_F(QmpClientTest, DeliversEvents) {
  std::string event;
  client_->OnEvent([&](const std::string& name, const nlohmann::json&) { event = name; });
  Say("{\"event\":\"SHUTDOWN\",\"data\":{}}\n{\"return\":{},\"id\":2}\n");
  ASSERT_TRUE(Answered("x"));
  EXPECT_EQ(event, "SHUTDOWN");
}

TEST_F(QmpClientTest, FailsWhatIsPendingAndWhatComesLaterWhenQemuIsGone) {
  std::optional<Result<nlohmann::json>> pending;
  client_->Execute("x", nlohmann::json::object(), [&](auto result) { pending = result; });
  qemu_.Reset();
  EXPECT_EQ(Wait(pending).error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(Answered("y").error().code, ErrorCode::kUnavailable);
}

TEST_F(QmpClientTest, ClosesOnWhatIsNotTheProtocol) {
  const std::string rows[] = {"[1]\n", "{{{\n", "{\"return\":{}}\n",
                              "{\"return\":{},\"id\":\"a\"}\n"};
  for (const std::string& row : rows) {
    SetUp();
    Say(row);
    EXPECT_EQ(Answered("x").error().code, ErrorCode::kUnavailable) << row;
  }
}

TEST_F(QmpClientTest, BoundsALineThatDoesNotEnd) {
  std::optional<Result<nlohmann::json>> answer;
  client_->Execute("x", nlohmann::json::object(), [&](auto result) { answer = result; });
  ASSERT_TRUE(SetNonBlocking(qemu_.get()));
  const std::string flood(64 << 10, 'x');
  size_t sent = 0;
  const Deadline deadline = Deadline::After(std::chrono::seconds(30));
  while (!answer && !deadline.expired()) {
    const ssize_t count = send(qemu_.get(), flood.data(), flood.size(), MSG_NOSIGNAL);
    if (count > 0) sent += static_cast<size_t>(count);
    ASSERT_TRUE(loop_->RunOnce(std::chrono::milliseconds(0)));
  }
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->error().code, ErrorCode::kUnavailable);
  EXPECT_LT(sent, size_t{4} << 20);
}

TEST_F(QmpClientTest, GivesUpOnAQemuThatDoesNotAnswer) {
  std::optional<Result<nlohmann::json>> answer;
  client_->Execute(
      "x", nlohmann::json::object(), [&](auto result) { answer = result; },
      std::chrono::milliseconds(20));
  EXPECT_EQ(Wait(answer).error().code, ErrorCode::kDeadlineExceeded);
}

}  // namespace
}  // namespace catamaran
