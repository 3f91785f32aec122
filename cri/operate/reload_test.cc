#include "cri/operate/reload.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include "cri/images/image_store.h"
#include "cri/images/reference.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

class ReloadTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/reload-XXXXXX";
    folder_ = HostPath(mkdtemp(name));
    auto store = ImageStore::Open(folder_ / "images");
    ASSERT_TRUE(store) << store.error().message;
    store_ = std::move(*store);
    puller_ = std::make_unique<ImagePuller>(*store_, ImagePuller::Options{});
    auto metrics = MetricsServer::Start(folder_ / "m.sock", {}, [] { return std::string(); });
    ASSERT_TRUE(metrics) << metrics.error().message;
    metrics_ = std::move(*metrics);
    auto config = Read();
    ASSERT_TRUE(config) << config.error().message;
    reloader_ = std::make_unique<Reloader>(
        *config, [this] { return Read(); },
        Reloader::Parts{policy_, *puller_, *metrics_, meters_, tracer_});
  }
  void TearDown() override {
    reloader_.reset();
    metrics_.reset();
    puller_.reset();
    store_.reset();
    (void)RemoveTree(folder_.value());
  }
  Result<Config> Read() const {
    return ParseConfig(text_, "c.yaml", {HostPath("/opt/catamaran/bin")});
  }
  Result<std::vector<std::string>> ReloadWith(const std::string& text) {
    text_ = text;
    return reloader_->Reload();
  }
  void ExpectRefused(const std::string& text, ErrorCode code, const std::string& message) {
    const auto reloaded = ReloadWith(text);
    ASSERT_FALSE(reloaded) << text;
    EXPECT_EQ(reloaded.error().code, code);
    EXPECT_NE(reloaded.error().message.find(message), std::string::npos)
        << reloaded.error().message;
  }
  bool Rejects(const std::string& name) const {
    return !policy_.CheckNotRejected(*ParseImageReference(name)).has_value();
  }

  HostPath folder_;
  std::string text_;
  SignaturePolicy policy_{{}};
  Meters meters_;
  Tracer tracer_{meters_, {.version = "test"}};
  std::unique_ptr<ImageStore> store_;
  std::unique_ptr<ImagePuller> puller_;
  std::unique_ptr<MetricsServer> metrics_;
  std::unique_ptr<Reloader> reloader_;
};

using Lines = std::vector<std::string>;

TEST_F(ReloadTest, AppliesWhatCanChangeAndSaysIt) {
  auto reloaded = ReloadWith("");
  ASSERT_TRUE(reloaded);
  EXPECT_EQ(*reloaded, Lines{});
  EXPECT_FALSE(Rejects("r.test/app:1"));
  reloaded = ReloadWith(
      "log: {level: debug}\nmetrics: {address: '127.0.0.1:0'}\n"
      "tracing: {endpoint: 'http://127.0.0.1:1'}\n"
      "images: {hosts_dir: /h, signature_policy: [{scope: '*', rule: reject}]}");
  ASSERT_TRUE(reloaded) << reloaded.error().message;
  EXPECT_EQ(*reloaded,
            (Lines{"images.hosts_dir: (none) -> /h", "images.signature_policy[*]: (none) -> reject",
                   "metrics.address: (none) -> 127.0.0.1:0",
                   "tracing.endpoint: (none) -> http://127.0.0.1:1", "log.level: info -> debug"}));
  EXPECT_TRUE(tracer_.on());
  EXPECT_TRUE(Rejects("r.test/app:1"));
  EXPECT_TRUE(metrics_->url().starts_with("http://127.0.0.1:"));
  reloaded = ReloadWith("");
  ASSERT_TRUE(reloaded);
  EXPECT_EQ(reloaded->size(), 5u);
  EXPECT_FALSE(tracer_.on());
  EXPECT_FALSE(Rejects("r.test/app:1"));
  EXPECT_EQ(metrics_->url(), "");
}

TEST_F(ReloadTest, RefusesByNameWhatNeedsAnotherDaemonAndChangesNothing) {
  const std::string rejecting = "images: {signature_policy: [{scope: '*', rule: reject}]}\n";
  ExpectRefused(rejecting + "root: /elsewhere\nhandlers: [{name: ns, backend: ns}]\n",
                ErrorCode::kFailedPrecondition, "root: /var/lib/catamaran -> /elsewhere");
  ExpectRefused(text_, ErrorCode::kFailedPrecondition, "handlers[vm].backend: vm -> (none)");
  EXPECT_FALSE(Rejects("r.test/app:1")) << "all or nothing";
  ASSERT_TRUE(ReloadWith(rejecting));
  EXPECT_TRUE(Rejects("r.test/app:1"));
}

TEST_F(ReloadTest, AWrongFileLeavesTheOldOneInForce) {
  ExpectRefused("log: {level: loud}\n", ErrorCode::kInvalidArgument, "c.yaml:1: log.level: 'loud'");
  ExpectRefused("images: {signature_policy: [{scope: '*', rule: signed, keys: [/absent.pub]}]}",
                ErrorCode::kNotFound, "images.signature_policy, scope *: ");
  ExpectRefused(
      "metrics: {address: '127.0.0.1:0', tls: {certificate: /absent, key: /absent}}\n"
      "images: {signature_policy: [{scope: '*', rule: reject}]}",
      ErrorCode::kInvalidArgument, "metrics.tls.certificate: open /absent: No such file");
  ExpectRefused(
      "metrics: {address: '127.0.0.1:0'}\n"
      "tracing: {endpoint: 'https://127.0.0.1:1', tls: {ca: /absent}}",
      ErrorCode::kInvalidArgument, "tracing.tls.ca: open /absent: No such file");
  EXPECT_FALSE(Rejects("r.test/app:1"));
  EXPECT_FALSE(tracer_.on());
  EXPECT_EQ(metrics_->url(), "");
  const auto reloaded = ReloadWith("");
  ASSERT_TRUE(reloaded);
  EXPECT_EQ(*reloaded, Lines{}) << "nothing of those had come into force";
  const std::string text = meters_.Text({});
  EXPECT_NE(text.find("catamaran_config_reloads_total{result=\"refused\"} 4"), std::string::npos);
  EXPECT_NE(text.find("catamaran_config_reloads_total{result=\"applied\"} 1"), std::string::npos);
}

}  // namespace
}  // namespace catamaran
