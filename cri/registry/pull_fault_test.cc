// Registries that cut, hang, lie and refuse: the pull goes on, or ends with nothing half there.
#include <atomic>
#include <mutex>
#include <thread>

#include "cri/images/reference.h"
#include "cri/images/testing/tar_builder.h"
#include "cri/registry/testing/pull_lab.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

class PullFaultTest : public PullLab {
 protected:
  using Request = TestServer::Request;
  using Answer = TestServer::Answer;

  PullFaultTest() { AddImage(*registry_, "app", "1", image_); }

  // What the next requests for the big layer are answered, each once; then the registry answers.
  void Then(std::function<Answer(const Request&)> fault) {
    const std::lock_guard lock(mutex_);
    faults_.push_back(std::move(fault));
  }
  Answer AtProxy(const Request& request) {
    if (!request.Asks(BlobDigest(image_.layers[0]))) return Forward(request, registry_->port());
    std::function<Answer(const Request&)> fault;
    {
      const std::lock_guard lock(mutex_);
      if (!faults_.empty()) {
        fault = std::move(faults_.front());
        faults_.erase(faults_.begin());
      }
    }
    return fault ? fault(request) : Forward(request, registry_->port());
  }
  // The registry's answer, cut `bytes` after its head.
  Answer Cut(const Request& request, size_t bytes) {
    Answer answer = Forward(request, registry_->port());
    answer.bytes.resize(std::min(answer.bytes.size(), HeadSize(answer.bytes) + bytes));
    return answer;
  }
  std::vector<std::string> RangesAskedFor() {
    std::vector<std::string> ranges;
    for (const auto& request : proxy_.requests())
      if (request.Asks(BlobDigest(image_.layers[0]))) ranges.push_back(request.Header("range"));
    return ranges;
  }
  void ExpectPulls() {
    const auto pulled = Pull(name_);
    ASSERT_TRUE(pulled) << pulled.error().message;
    ExpectWhole(*pulled, image_);
    ExpectNothingLeft();
  }
  void ExpectFails(ErrorCode code, const std::string& part) {
    const auto pulled = Pull(name_);
    ASSERT_FALSE(pulled);
    EXPECT_EQ(pulled.error().code, code) << pulled.error().message;
    EXPECT_NE(pulled.error().message.find(part), std::string::npos) << pulled.error().message;
    EXPECT_FALSE(store_->Find(name_).value());
    // Whole layers wait for the next try where that may go better.
    if (code != ErrorCode::kUnavailable) ExpectNothingLeft();
  }

  const TestImage image_{.layers = {Layer("big", 3'000'000, 1), Layer("small", 10, 2)}};
  std::mutex mutex_;
  std::vector<std::function<Answer(const Request&)>> faults_;
  std::unique_ptr<LocalRegistry> registry_ = StartRegistry();
  TestServer proxy_{[this](const Request& request) { return AtProxy(request); }};
  const std::string name_ = proxy_.address() + "/app:1";
};

TEST_F(PullFaultTest, ACutLayerGoesOnWhereItWasCut) {
  Then([&](const Request& request) { return Cut(request, 1'000'000); });
  Then([&](const Request& request) { return Cut(request, 1'000'000); });
  ExpectPulls();
  EXPECT_EQ(RangesAskedFor(), (std::vector<std::string>{"", "bytes=1000000-", "bytes=2000000-"}));
}

TEST_F(PullFaultTest, ManyCutsThatEachBringSomethingAreSurvived) {
  options_.patience.retry.rounds = 2;
  MakePuller();
  for (int i = 0; i < 2; ++i) Then([&](const Request& request) { return Cut(request, 1'100'000); });
  ExpectPulls();
}

TEST_F(PullFaultTest, AServerThatCannotResumeIsReadFromTheStart) {
  Then([&](const Request& request) { return Cut(request, 500'000); });
  Then([&](const Request& request) {
    Request whole = request;
    whole.headers.erase("range");
    return Forward(whole, registry_->port());
  });
  ExpectPulls();
  EXPECT_EQ(RangesAskedFor().size(), 2u);
}

TEST_F(PullFaultTest, AnAnswerWithAnotherRangeIsNotTaken) {
  Then([&](const Request& request) { return Cut(request, 500'000); });
  Then([&](const Request& request) {
    Request other = request;
    other.headers["range"] = "bytes=400000-";
    return Forward(other, registry_->port());
  });
  ExpectFails(ErrorCode::kDataLoss, "gives others");
}

TEST_F(PullFaultTest, PassingFailuresAreTriedAgain) {
  for (const int status : {500, 503, 429, 408})
    Then([=](const Request&) { return AnswerWith(status); });
  ExpectPulls();
  EXPECT_EQ(RangesAskedFor().size(), 5u);
}

TEST_F(PullFaultTest, RetryAfterIsWaitedFor) {
  Then([](const Request&) { return AnswerWith(429, "", "Retry-After: 1\r\n"); });
  const auto start = std::chrono::steady_clock::now();
  ExpectPulls();
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(990));
}

TEST_F(PullFaultTest, AFailureThatDoesNotPassEndsThePullAndSaysWhatItWas) {
  for (int i = 0; i < 5; ++i)
    Then([](const Request&) {
      return AnswerWith(503, R"({"errors":[{"code":"BUSY","message":"come\nback"}]})");
    });
  ExpectFails(ErrorCode::kUnavailable, "503, BUSY: come back");
}

TEST_F(PullFaultTest, LayersThatWereWholeAreNotPulledAgainByTheNextTry) {
  // The big layer fails once the small one is there.
  for (int i = 0; i < 5; ++i)
    Then([&](const Request&) {
      const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
      while (!Exists(BlobFile(image_.layers[1])) && std::chrono::steady_clock::now() < end)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      return AnswerWith(503);
    });
  ExpectFails(ErrorCode::kUnavailable, "503");
  EXPECT_TRUE(Exists(BlobFile(image_.layers[1])));
  ExpectPulls();
  EXPECT_EQ(proxy_.Count(BlobDigest(image_.layers[1])), 1);
}

TEST_F(PullFaultTest, AHangIsGivenUpAndTheRestAskedForAnew) {
  options_.patience.http.stall = std::chrono::seconds(4);
  MakePuller();
  Then([&](const Request& request) {
    Answer answer = Cut(request, 1'000'000);
    answer.hang = true;
    return answer;
  });
  ExpectPulls();
  EXPECT_EQ(RangesAskedFor().size(), 2u);
}

TEST_F(PullFaultTest, OtherBytesThanTheManifestPromisesAreRefused) {
  Then([&](const Request& request) {
    Answer answer = Forward(request, registry_->port());
    answer.bytes[answer.bytes.size() - 3] ^= 1;  // in gzip's own checksum
    return answer;
  });
  ExpectFails(ErrorCode::kInvalidArgument, "layer sha256:");
  Then([&](const Request& request) {
    // Another layer altogether, of the same size.
    Answer answer = Forward(request, registry_->port());
    const std::string other = Gzip(Layer("big", 3'000'000, 99));
    const size_t head = HeadSize(answer.bytes);
    answer.bytes = answer.bytes.substr(0, head) + other;
    answer.bytes.resize(head + Gzip(image_.layers[0]).size());
    return answer;
  });
  EXPECT_FALSE(Pull(name_));
  ExpectNothingLeft();
  ExpectPulls();  // and the truth is still taken
}

TEST_F(PullFaultTest, AnotherLengthThanTheManifestSaysIsRefused) {
  Then([&](const Request&) { return AnswerWith(200, "short"); });
  ExpectFails(ErrorCode::kDataLoss, "it has 5 bytes");
  Then([&](const Request& request) {
    const Answer answer = Forward(request, registry_->port());
    return AnswerWith(200, answer.bytes.substr(HeadSize(answer.bytes)) + "and more");
  });
  ExpectFails(ErrorCode::kDataLoss, "the manifest says");
  Then([&](const Request& request) {  // without saying how long it is
    const Answer answer = Forward(request, registry_->port());
    return Answer{"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" +
                  answer.bytes.substr(HeadSize(answer.bytes)) + "and more"};
  });
  ExpectFails(ErrorCode::kDataLoss, "more than its");
}

TEST_F(PullFaultTest, AManifestThatIsNotWhatItsDigestSaysIsRefused) {
  std::atomic<bool> by_digest{false};
  TestServer liar([&](const Request& request) {
    Answer answer = Forward(request, registry_->port());
    if (request.Asks("/manifests/")) {
      const auto at = answer.bytes.find("\"schemaVersion\":2");
      EXPECT_NE(at, std::string::npos);
      if (at != std::string::npos) answer.bytes[at + 16] = '3';
    }
    return answer;
  });
  for (const std::string& name :
       {std::string("/app:1"),
        "/app@" + registry_->AddManifest("app", "x", "{\"schemaVersion\":2}").value()}) {
    const auto pulled = Pull(liar.address() + name);
    ASSERT_FALSE(pulled);
    EXPECT_EQ(pulled.error().code, ErrorCode::kDataLoss) << pulled.error().message;
  }
}

TEST_F(PullFaultTest, EndlessAnswersAreCutOff) {
  TestServer endless([&](const Request& request) {
    if (request.Asks("/many-headers/")) {
      std::string head = "HTTP/1.1 200 OK\r\n";
      for (int i = 0; i < 10'000; ++i)
        head += "X-" + std::to_string(i) + ": " + std::string(100, 'x') + "\r\n";
      return Answer{head + "\r\n"};
    }
    return Answer{"HTTP/1.1 200 OK\r\n\r\n" + std::string(64 << 20, ' ')};
  });
  const auto pulled = Pull(endless.address() + "/app:1");
  ASSERT_FALSE(pulled);
  EXPECT_EQ(pulled.error().code, ErrorCode::kResourceExhausted) << pulled.error().message;
  EXPECT_FALSE(Pull(endless.address() + "/many-headers/app:1"));
}

TEST_F(PullFaultTest, RedirectsInACircleEnd) {
  TestServer circle([&](const Request& request) {
    return AnswerWith(307, "", "Location: " + request.target + "\r\n");
  });
  options_.patience.retry.rounds = 1;
  MakePuller();
  const auto pulled = Pull(circle.address() + "/app:1");
  ASSERT_FALSE(pulled);
  EXPECT_NE(pulled.error().message.find("more than 10 times"), std::string::npos);
}

TEST_F(PullFaultTest, TheDeadlineEndsAPullThatHangs) {
  Then([&](const Request& request) {
    Answer answer = Cut(request, 1'000'000);
    answer.hang = true;
    return answer;
  });
  ImageStore::LoadOptions options;
  options.deadline = Deadline::After(std::chrono::milliseconds(1500));
  const auto pulled = Pull(name_, std::nullopt, options);
  ASSERT_FALSE(pulled);
  EXPECT_EQ(pulled.error().code, ErrorCode::kDeadlineExceeded) << pulled.error().message;
  puller_.reset();  // waits for the end of what nobody waits for
  EXPECT_TRUE(ListDirectory(scratch_ / "images/tmp")->empty());
  EXPECT_FALSE(Exists(BlobFile(image_.layers[0])));
}

TEST_F(PullFaultTest, ACallerThatGoesAwayEndsItsPullButNotThatOfOthers) {
  std::atomic<bool> asked{false}, gone{false}, release{false};
  Then([&](const Request& request) {
    asked = true;
    while (!release) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return Forward(request, registry_->port());
  });
  ImageStore::LoadOptions first_options;
  first_options.cancelled = [&] { return gone.load(); };
  Result<Image> first = Fail(ErrorCode::kUnknown, "not done"), second = first;
  std::thread first_caller([&] { first = Pull(name_, std::nullopt, first_options); });
  while (!asked) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  std::thread second_caller([&] { second = Pull(name_); });
  while (proxy_.Count("/manifests/") == 0)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  std::this_thread::sleep_for(std::chrono::milliseconds(200));  // the second joins
  gone = true;
  first_caller.join();
  EXPECT_EQ(first.error().code, ErrorCode::kDeadlineExceeded);
  release = true;
  second_caller.join();
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(proxy_.Count("/manifests/"), 1);
  ExpectWhole(*second, image_);
}

// Else an image whose registry never ends a layer would hold up every image that has the layer.
TEST_F(PullFaultTest, APullThatHangsDoesNotHoldUpAnotherWithTheSameLayer) {
  AddImage(*registry_, "other", "1", {.layers = {image_.layers[0], Layer("own", 10, 3)}});
  std::atomic<bool> hangs{false}, gone{false};
  Then([&](const Request& request) {
    hangs = true;
    Answer answer = Cut(request, 1000);
    answer.hang = true;
    return answer;
  });
  ImageStore::LoadOptions options;
  options.cancelled = [&] { return gone.load(); };
  std::thread first([&] { EXPECT_FALSE(Pull(name_, std::nullopt, options)); });
  while (!hangs) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  const auto pulled = Pull(proxy_.address() + "/other:1");
  EXPECT_TRUE(pulled) << pulled.error().message;
  gone = true;
  first.join();
}

// The same image with another's credentials is a pull of its own: what they may see is theirs.
TEST_F(PullFaultTest, PullsWithDifferentCredentialsAreNotJoined) {
  std::atomic<bool> release{false};
  Then([&](const Request& request) {
    while (!release) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return Forward(request, registry_->port());
  });
  std::thread one([&] { EXPECT_TRUE(Pull(name_, AuthFields{"a", "b", "", "", "", ""})); });
  std::thread two([&] { EXPECT_TRUE(Pull(name_, AuthFields{"a", "c", "", "", "", ""})); });
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (proxy_.Count("/manifests/") < 2 && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(proxy_.Count("/manifests/"), 2);
  release = true;
  one.join();
  two.join();
  // The layer is one thing, whoever asked for it first.
  EXPECT_EQ(proxy_.Count(BlobDigest(image_.layers[0])), 1);
}

}  // namespace
}  // namespace catamaran
