#include "cri/telemetry/otlp_post.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include "cri/registry/testing/certificates.h"
#include "cri/telemetry/metrics_server.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

using Outcome = OtlpPost::Outcome;

// Collectors are behind TLS in a cluster. The server here is the metrics' own, which knows clients'
// certificates too and knows no /v1/traces: an answer means that it has let the client in.
class OtlpPostTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/post-XXXXXX";
    folder_ = HostPath(mkdtemp(name));
    const TestCertificate authority = MakeAuthority("cluster");
    const TestCertificate own = MakeCertificate("127.0.0.1", authority);
    MetricsConfig config{.address = "127.0.0.1"};
    config.certificate = Write("server.pem", own.certificate);
    config.key = Write("server.key", own.key);
    config.client_ca = ca_ = Write("ca.pem", authority.certificate);
    auto server = MetricsServer::Start(folder_ / "m.sock", config, [] { return std::string(); });
    ASSERT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
    const TestCertificate client = MakeCertificate("catamaran", authority);
    certificate_ = Write("client.pem", client.certificate);
    key_ = Write("client.key", client.key);
    const std::string url = server_->url();
    endpoint_ = url.substr(0, url.rfind("/metrics"));
  }
  void TearDown() override {
    server_.reset();
    (void)RemoveTree(folder_.value());
  }
  HostPath Write(const std::string& name, const std::string& text) {
    const HostPath path = folder_ / name;
    EXPECT_TRUE(ReplaceFile(path.value(), text, 0600, Durability::kProcessCrash));
    return path;
  }
  static OtlpPost::Answer Post(const TracingConfig& config) {
    const auto collector = OtlpPost::Open(config, "1");
    EXPECT_TRUE(collector) << collector.error().message;
    return (*collector)->Post("spans", std::chrono::seconds(20), {});
  }

  HostPath folder_, ca_, certificate_, key_;
  std::string endpoint_;
  std::unique_ptr<MetricsServer> server_;
};

TEST_F(OtlpPostTest, KnowsTheCollectorAndIsKnown) {
  const auto answer =
      Post({.endpoint = endpoint_, .ca = ca_, .certificate = certificate_, .key = key_});
  EXPECT_EQ(answer.outcome, Outcome::kRefused);
  EXPECT_EQ(answer.why, endpoint_ + "/v1/traces: HTTP status 404");
}

TEST_F(OtlpPostTest, GivesNothingToAStrangerAndGetsNowhereUnknown) {
  TracingConfig config{.endpoint = endpoint_, .certificate = certificate_, .key = key_};
  const auto untrusted = Post(config);
  EXPECT_EQ(untrusted.outcome, Outcome::kLater) << "an authority that this machine does not trust";
  EXPECT_NE(untrusted.why.find("certificate"), std::string::npos) << untrusted.why;
  config.ca = Write("other-ca.pem", MakeAuthority("other").certificate);
  EXPECT_EQ(Post(config).outcome, Outcome::kLater);
  EXPECT_EQ(Post({.endpoint = endpoint_, .ca = ca_}).outcome, Outcome::kLater)
      << "without a certificate";
}

}  // namespace
}  // namespace catamaran
