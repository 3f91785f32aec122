// The whole server over loopback, with clients made of the codec. Real clients try it in
// e2e/kubelet-client/streams_test.go.
#include <nlohmann/json.hpp>

#include "cri/streaming/testing/streaming_lab.h"

namespace catamaran {
namespace {

using StreamingServerTest = StreamingLab;

TEST_F(StreamingServerTest, CarriesAProcessOverSpdy) {
  EXPECT_EQ(nlohmann::json::parse(Echo("v4.channel.k8s.io", 0))["status"], "Success");
  EXPECT_TRUE(facts_->input_ended);
  EXPECT_EQ(nlohmann::json::parse(Echo("v4.channel.k8s.io", 7))["reason"], "NonZeroExitCode");
  EXPECT_EQ(Echo("v3.channel.k8s.io", 0), "");
  EXPECT_NE(Echo("v2.channel.k8s.io", 7).find("exit status 7"), std::string::npos);
  EXPECT_EQ(Echo("channel.k8s.io", 0), "");
}

TEST_F(StreamingServerTest, TellsWhyAProcessCannotStart) {
  SpdyClient client(Offer(std::make_unique<FailingProcess>()), "v4.channel.k8s.io");
  OpenAll(client);
  client.ReadToEnd();
  const auto status = nlohmann::json::parse(client.data[1]);
  EXPECT_EQ(status["reason"], "InternalError");
  EXPECT_NE(status["message"].get<std::string>().find("no such program"), std::string::npos);
}

TEST_F(StreamingServerTest, AnswersPingsAndResizes) {
  SpdyClient client(OfferEcho(0, true), "v4.channel.k8s.io");
  OpenAll(client);
  client.Ping(1);
  client.Send(client.Open({{"streamtype", "resize"}}), "{\"Width\":99,\"Height\":24}\n");
  EXPECT_TRUE(Wait([&] { return facts_->columns == 99; }));
  client.Ping(3);
  client.Send(3, "", true);
  client.ReadToEnd();
}

TEST_F(StreamingServerTest, RefusesStreamsThatNobodyOpensLikeThat) {
  SpdyClient client(OfferEcho(), "v4.channel.k8s.io");
  EXPECT_EQ(client.Open({}), 1u);
  EXPECT_TRUE(client.reset.contains(1));
  EXPECT_EQ(client.Open({{"streamtype", "error"}}), 3u);
  EXPECT_EQ(client.Open({{"streamtype", "error"}}), 5u);
  EXPECT_TRUE(client.replied.contains(3));
  EXPECT_TRUE(client.reset.contains(5));
}

TEST_F(StreamingServerTest, AUrlIsGoodOnceAndForItsOwnKind) {
  const std::string url = OfferEcho();
  const std::string spdy = UpgradeHeaders("v4.channel.k8s.io");
  EXPECT_EQ(HttpClient(url + "0", "POST", spdy).status(), 404);
  EXPECT_EQ(HttpClient(url, "DELETE", spdy).status(), 405);
  EXPECT_EQ(HttpClient(url + "?command=rm", "POST", UpgradeHeaders("v9")).status(), 403);
  EXPECT_EQ(HttpClient(url, "POST", spdy).status(), 404);
  EXPECT_EQ(HttpClient(OfferEcho(), "GET", "").status(), 400);
  EXPECT_EQ(HttpClient(OfferEcho(), "\x01\x02", spdy).status(), 400);
  const HttpClient refused(OfferEcho(), "POST", UpgradeHeaders("v9"));
  EXPECT_NE(refused.head().find("X-Accepted-Stream-Protocol-Versions: v4.channel.k8s.io"),
            std::string::npos)
      << refused.head();
}

TEST_F(StreamingServerTest, AClientThatDoesNotReadHoldsUpNobodyElse) {
  SpdyClient stalled(Offer(std::make_unique<FakeProcess>(FakeProcess::What::kFlood, facts_)),
                     "v4.channel.k8s.io");
  OpenAll(stalled);
  for (int i = 0; i < 3; ++i) Echo("v4.channel.k8s.io", 0);
  stalled.ReadToEnd();
  EXPECT_EQ(stalled.data[5].size(), 4096u * 4096);
}

TEST_F(StreamingServerTest, AProcessWhoseClientLeftGoesOnToItsEnd) {
  {
    SpdyClient client(Offer(std::make_unique<FakeProcess>(FakeProcess::What::kFlood, facts_)),
                      "v4.channel.k8s.io");
    OpenAll(client);
    client.ReadUntil([&] { return !client.data[5].empty(); });
  }
  EXPECT_TRUE(Wait([&] { return facts_->client_gone.load(); }));
  // The session and its process end: nobody but this test holds the facts.
  EXPECT_TRUE(Wait([&] { return facts_.use_count() == 1; }));
}

TEST_F(StreamingServerTest, ManySessionsLeaveNothingBehind) {
  const auto count = [](const char* folder) {
    return std::distance(std::filesystem::directory_iterator(folder), {});
  };
  for (int i = 0; i < 20; ++i) Echo("v4.channel.k8s.io", 0);
  const auto descriptors = count("/proc/self/fd"), threads = count("/proc/self/task");
  for (int i = 0; i < 500; ++i) Echo("v4.channel.k8s.io", 0);
  // A session's thread ends some time after its client has seen the end.
  EXPECT_TRUE(Wait([&] { return count("/proc/self/fd") <= descriptors + 16; }))
      << count("/proc/self/fd") << " descriptors, " << descriptors << " before";
  EXPECT_TRUE(Wait([&] { return count("/proc/self/task") <= threads + 4; }))
      << count("/proc/self/task") << " threads, " << threads << " before";
}

TEST_F(StreamingServerTest, EndsAClientThatIsIdle) {
  Start({.idle = std::chrono::seconds(1)});
  SpdyClient client(Offer(std::make_unique<FakeProcess>(FakeProcess::What::kSilent, facts_)),
                    "v4.channel.k8s.io");
  OpenAll(client);
  client.ReadToEnd();
  EXPECT_FALSE(client.goes_away);
}

TEST_F(StreamingServerTest, EndsWithItsClients) {
  SpdyClient client(Offer(std::make_unique<FakeProcess>(FakeProcess::What::kSilent, facts_)),
                    "v4.channel.k8s.io");
  OpenAll(client);
  server_.reset();
  client.ReadToEnd();
}

TEST_F(StreamingServerTest, ForwardsPortsAndTellsOfOneThatIsClosed) {
  SpdyClient client(OfferPorts(), "portforward.k8s.io");
  ASSERT_EQ(client.status(), 101) << client.head();
  for (const char* id : {"0", "1"}) {
    const auto error = client.Open({{"streamtype", "error"}, {"port", "80"}, {"requestid", id}});
    client.Send(error, "", true);
    const auto data = client.Open({{"streamtype", "data"}, {"port", "80"}, {"requestid", id}});
    client.Send(data, "ping", true);
    client.ReadUntil([&] { return client.ended.contains(data) && client.ended.contains(error); });
    EXPECT_EQ(client.data[data], "ping");
    EXPECT_EQ(client.data[error], "");
    // One that is refused leaves the others alone.
    const auto refused =
        client.Open({{"streamtype", "error"}, {"port", "1"}, {"requestid", std::string(id) + "x"}});
    const auto nothing =
        client.Open({{"streamtype", "data"}, {"port", "1"}, {"requestid", std::string(id) + "x"}});
    client.ReadUntil([&] { return client.reset.contains(nothing); });
    EXPECT_NE(client.data[refused].find("connection refused"), std::string::npos);
  }
  for (const char* port : {"0", "65536", "x", "80 ", ""})
    EXPECT_TRUE(client.reset.contains(client.Open({{"streamtype", "data"}, {"port", port}})))
        << port;
}

// Both directions at once, of more than all buffers hold: the server pauses its reading again and
// again.
TEST_F(StreamingServerTest, ForwardsAFloodBothWaysByteForByte) {
  SpdyClient client(OfferPorts(), "portforward.k8s.io");
  const auto error = client.Open({{"streamtype", "error"}, {"port", "80"}, {"requestid", "0"}});
  const auto data = client.Open({{"streamtype", "data"}, {"port", "80"}, {"requestid", "0"}});
  std::string sent;
  for (int i = 0; sent.size() < (4u << 20); ++i) sent += fmt::format("{:07}\n", i);
  std::thread writer([&] {
    for (size_t at = 0; at < sent.size(); at += 32768)
      client.Send(data, std::string_view(sent).substr(at, 32768));
    client.Send(data, "", true);
  });
  client.ReadUntil([&] { return client.ended.contains(error); });
  writer.join();
  EXPECT_TRUE(client.data[data] == sent) << client.data[data].size() << " of " << sent.size();
}

TEST(StreamingServerStart, SaysWhatIsWrongWithAnAddress) {
  EXPECT_EQ(StreamingServer::Start({.address = "localhost"}).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(StreamingServer::Start({.address = "203.0.113.1"}).error().code,
            ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace catamaran
