// Pulls through mirrors, as a hosts.toml names them.
#include <mutex>

#include "cri/registry/testing/pull_lab.h"

namespace catamaran {
namespace {

class MirrorTest : public PullLab {
 protected:
  using Request = TestServer::Request;
  MirrorTest() {
    AddImage(*upstream_, "team/app", "1", image_);
    AddImage(*mirror_, "team/app", "1", image_);
  }
  std::string Mirror(const std::string& url, const std::string& more = "") {
    return "[host.\"" + url + "\"]\n" + more;
  }
  std::string Server() { return "server = \"" + front_.url() + "\"\n"; }

  const TestImage image_{.layers = {Layer("a", 2'000'000, 1), Layer("b", 1000, 2)}};
  std::unique_ptr<LocalRegistry> upstream_ = StartRegistry("upstream");
  std::unique_ptr<LocalRegistry> mirror_ = StartRegistry("mirror");
  TestServer front_{[this](const Request& request) { return Forward(request, upstream_->port()); }};
};

TEST_F(MirrorTest, IsAskedFirstAndToldForWhom) {
  TestServer mirror([&](const Request& request) { return Forward(request, mirror_->port()); });
  WriteHosts("r.test", Server() + Mirror(mirror.url()));
  const auto pulled = Pull("r.test/team/app:1");
  ASSERT_TRUE(pulled) << pulled.error().message;
  ExpectWhole(*pulled, image_);
  EXPECT_EQ(pulled->repo_tags, std::vector<std::string>{"r.test/team/app:1"});
  EXPECT_TRUE(front_.requests().empty());
  for (const auto& request : mirror.requests()) EXPECT_TRUE(request.Asks("?ns=r.test"));
}

TEST_F(MirrorTest, ThatFailsInAnyWayIsPassedOver) {
  TestServer empty([&](const Request&) { return AnswerWith(404); });
  TestServer closed([&](const Request&) { return AnswerWith(403); });
  TestServer broken([&](const Request&) { return AnswerWith(500); });
  const std::string gone = TestServer([](const Request&) { return AnswerWith(200); }).url();
  WriteHosts("r.test", Server() + Mirror(gone) + Mirror(empty.url()) + Mirror(closed.url()) +
                           Mirror(broken.url()) + Mirror("http://" + mirror_->address()));
  const auto pulled = Pull("r.test/team/app:1");
  ASSERT_TRUE(pulled) << pulled.error().message;
  ExpectWhole(*pulled, image_);
  EXPECT_TRUE(front_.requests().empty());
}

TEST_F(MirrorTest, ThatLiesIsPassedOverInFavourOfTheTruth) {
  TestServer liar([&](const Request& request) {
    auto answer = Forward(request, mirror_->port());
    answer.bytes[answer.bytes.size() - 3] ^= 1;
    return answer;
  });
  WriteHosts("r.test", Server() + Mirror(liar.url(), "capabilities = [\"pull\"]\n"));
  const auto pulled = Pull("r.test/team/app:1");
  ASSERT_TRUE(pulled) << pulled.error().message;
  ExpectWhole(*pulled, image_);
  EXPECT_GT(liar.Count("/blobs/"), 2);
  ExpectNothingLeft();
}

TEST_F(MirrorTest, ThatDiesInTheMiddleOfALayerIsGoneOnFrom) {
  TestServer dying([&](const Request& request) {
    auto answer = Forward(request, mirror_->port());
    if (request.Asks(BlobDigest(image_.layers[0])))
      answer.bytes.resize(HeadSize(answer.bytes) + 1'200'000);
    return answer;
  });
  WriteHosts("r.test", Server() + Mirror(dying.url()));
  const auto pulled = Pull("r.test/team/app:1");
  ASSERT_TRUE(pulled) << pulled.error().message;
  ExpectWhole(*pulled, image_);
  ASSERT_EQ(front_.requests().size(), 1u);
  EXPECT_EQ(front_.requests()[0].Header("range"), "bytes=1200000-");
}

TEST_F(MirrorTest, WithoutTheCapabilityResolveSaysNotWhatATagMeans) {
  TestServer mirror([&](const Request& request) { return Forward(request, mirror_->port()); });
  WriteHosts("r.test", Server() + Mirror(mirror.url(), "capabilities = [\"pull\"]\n"));
  ASSERT_TRUE(Pull("r.test/team/app:1"));
  EXPECT_EQ(mirror.Count("/manifests/"), 0);
  EXPECT_EQ(front_.Count("/manifests/1"), 1);
  EXPECT_EQ(front_.Count("/blobs/"), 0);
}

TEST_F(MirrorTest, ThatIsOutOfReachCostsOneAttemptNotOneForEachBlob) {
  std::mutex mutex;
  int refused = 0;
  TestServer broken([&](const Request&) {
    const std::lock_guard lock(mutex);
    ++refused;
    return AnswerWith(503);
  });
  WriteHosts("r.test", Server() + Mirror(broken.url()));
  ASSERT_TRUE(Pull("r.test/team/app:1"));
  EXPECT_EQ(refused, 1);
}

TEST_F(MirrorTest, AWrongFileFailsThePullAndNamesTheLine) {
  WriteHosts("r.test", Server() + "\nmirrors = []\n");
  const auto pulled = Pull("r.test/team/app:1");
  ASSERT_FALSE(pulled);
  EXPECT_EQ(pulled.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(pulled.error().message.find("r.test/hosts.toml:3: mirrors: unknown key"),
            std::string::npos)
      << pulled.error().message;
}

}  // namespace
}  // namespace catamaran
