#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/base/files.h"
#include "sandbox/kernel/unix_socket.h"
#include "vm-backend/templates/template_client.h"
#include "vm-backend/templates/template_files.h"
#include "vm-backend/templates/template_keeper.h"

namespace catamaran {
namespace {

constexpr uint64_t kMemory = 16 << 20;

class TemplateFiles : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/template_test.XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder_ = HostPath(name);
  }
  void TearDown() override { EXPECT_TRUE(RemoveTree(folder_.value())); }

  static Template Empty() {
    return {MakeTemplateFile("memory", kMemory).value(), MakeTemplateFile("state", 300).value()};
  }
  static Template Filled(char fill) {
    Template made = Empty();
    EXPECT_EQ(pwrite(made.memory.get(), std::string(5000, fill).data(), 5000, 3 << 20), 5000);
    EXPECT_EQ(pwrite(made.state.get(), std::string(300, fill).data(), 300, 0), 300);
    return made;
  }
  static void Damage(const HostPath& file, off_t offset) {
    ASSERT_EQ(chmod(file.c_str(), 0600), 0);
    const auto fd = OpenFile(file.value(), O_WRONLY).value();
    ASSERT_EQ(pwrite(fd.get(), "!", 1, offset), 1);
  }

  HostPath folder_;
};

TEST_F(TemplateFiles, ASealedTemplateCannotBeWrittenShrunkOrPunched) {
  const Template made = Filled('a');
  const std::string digest = DigestOf(made.memory.get()).value();
  ASSERT_TRUE(SealTemplate(made));
  // A hostile VMM opens the memory anew, as QEMU does.
  const auto own = OpenFile(fmt::format("/proc/self/fd/{}", made.memory.get()), O_RDWR).value();
  EXPECT_EQ(pwrite(own.get(), "x", 1, 0), -1);
  EXPECT_EQ(ftruncate(own.get(), 0), -1);
  EXPECT_EQ(fallocate(own.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, kMemory), -1);
  EXPECT_EQ(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, own.get(), 0), MAP_FAILED);
  // A clone's own copy takes writes, and they stay its own.
  void* clone = mmap(nullptr, kMemory, PROT_READ | PROT_WRITE, MAP_PRIVATE, own.get(), 0);
  ASSERT_NE(clone, MAP_FAILED);
  memset(clone, 'z', kMemory);
  EXPECT_EQ(madvise(clone, kMemory, MADV_REMOVE), -1);
  munmap(clone, kMemory);
  EXPECT_EQ(DigestOf(made.memory.get()).value(), digest);
}

TEST_F(TemplateFiles, WithoutTheSealsTheSameAttackSucceeds) {
  const Template made = Filled('a');
  const std::string digest = DigestOf(made.memory.get()).value();
  EXPECT_EQ(fallocate(made.memory.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, kMemory),
            0);
  EXPECT_NE(DigestOf(made.memory.get()).value(), digest);
}

TEST_F(TemplateFiles, CannotBeSealedWhileItsMakerStillWrites) {
  const Template made = Filled('a');
  void* mapped = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, made.memory.get(), 0);
  ASSERT_NE(mapped, MAP_FAILED);
  EXPECT_EQ(SealTemplate(made).error().code, ErrorCode::kFailedPrecondition);
  munmap(mapped, 4096);
  EXPECT_TRUE(SealTemplate(made));
}

TEST_F(TemplateFiles, WhatIsSavedIsLoadedUnchangedAndSparse) {
  const Template made = Filled('b');
  ASSERT_TRUE(SaveTemplate(folder_, "key", made));
  const auto sizes = FindTemplate(folder_, "key").value();
  EXPECT_EQ(sizes.memory_bytes, kMemory);
  EXPECT_EQ(sizes.state_bytes, 300u);
  const Template loaded = Empty();
  ASSERT_TRUE(LoadTemplate(folder_, "key", loaded));
  EXPECT_EQ(DigestOf(loaded.memory.get()).value(), DigestOf(made.memory.get()).value());
  EXPECT_EQ(DigestOf(loaded.state.get()).value(), DigestOf(made.state.get()).value());
  struct stat status;
  ASSERT_EQ(fstat(loaded.memory.get(), &status), 0);
  EXPECT_LT(status.st_blocks * 512, 4 << 20);
}

TEST_F(TemplateFiles, ADamagedTemplateIsRefusedAndRemoved) {
  ASSERT_TRUE(SaveTemplate(folder_, "key", Filled('c')));
  Damage(folder_ / "key/memory", (3 << 20) + 7);
  EXPECT_EQ(LoadTemplate(folder_, "key", Empty()).error().code, ErrorCode::kDataLoss);
  EXPECT_EQ(FindTemplate(folder_, "key").error().code, ErrorCode::kNotFound);
}

TEST_F(TemplateFiles, OnlyTheLastUsedAreKept) {
  for (const char* key : {"one", "two", "three"})
    ASSERT_TRUE(SaveTemplate(folder_, key, Filled('d')));
  const timespec long_ago[2] = {{1000, 0}, {1000, 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, (folder_ / "two").c_str(), long_ago, 0), 0);
  ASSERT_TRUE(MakeDirectories((folder_ / "four.new").value()));
  ASSERT_TRUE(TrimTemplates(folder_, 2));
  EXPECT_EQ(ListDirectory(folder_.value()).value(), (std::vector<std::string>{"one", "three"}));
}

TEST_F(TemplateFiles, OneThatIsBeingSavedIsNotTakenForACrashsRemains) {
  const HostPath unfinished = folder_ / "key.1.new";
  ASSERT_TRUE(MakeDirectories(unfinished.value()));
  auto saver = OpenFile(unfinished.value(), O_RDONLY | O_DIRECTORY).value();
  ASSERT_EQ(flock(saver.get(), LOCK_SH), 0);
  ASSERT_TRUE(TrimTemplates(folder_, 2));
  EXPECT_TRUE(Exists(unfinished.value()));
  saver.Reset();
  ASSERT_TRUE(TrimTemplates(folder_, 2));
  EXPECT_FALSE(Exists(unfinished.value()));
}

// Boots nothing: the memory it "boots" holds what the test says.
class FakeMaker final : public TemplateMaker {
 public:
  void Make(const vm::TemplateRequest&, int memory, Completion<UniqueFd> done) override {
    ++made;
    if (fails) return done(Fail(ErrorCode::kInternal, "the guest does not boot"));
    EXPECT_EQ(pwrite(memory, "booted", 6, 4096), 6);
    waiting = std::move(done);
  }
  void FinishBoot() {
    auto state = MakeTemplateFile("state", 8).value();
    EXPECT_EQ(pwrite(state.get(), "devices!", 8, 0), 8);
    auto done = std::move(waiting);
    done(std::move(state));
  }
  int made = 0;
  bool fails = false;
  Completion<UniqueFd> waiting;
};

class Keeper : public TemplateFiles {
 protected:
  void SetUp() override {
    TemplateFiles::SetUp();
    loop_ = EventLoop::Create().value();
    StartKeeper();
    request_.set_memory_bytes(kMemory);
    request_.add_arguments("-machine q35");
  }

  void StartKeeper() {
    keeper_.reset();
    auto listener = ListenUnix(Socket(), SOCK_SEQPACKET);
    ASSERT_TRUE(listener) << listener.error().message;
    TemplateKeeper::Options options;
    options.root = folder_ / "templates";
    options.on_unused = [this] { unused_ = true; };
    options.try_again = try_again_;
    options.linger = std::chrono::milliseconds(50);
    keeper_ = std::make_unique<TemplateKeeper>(*loop_, maker_, std::move(options));
    ASSERT_TRUE(keeper_->Serve(std::move(*listener)));
  }

  std::string Socket() const { return (folder_ / "socket").string(); }

  Result<Template> Ask() {
    Result<Template> answer = Fail(ErrorCode::kInternal, "no answer");
    bool answered = false;
    auto question = TemplateQuestion::Ask(*loop_, Socket(), request_, std::chrono::seconds(60),
                                          [&](Result<Template> result) {
                                            answer = std::move(result);
                                            answered = true;
                                          });
    while (!answered) EXPECT_TRUE(loop_->RunOnce(std::chrono::milliseconds(100)));
    return answer;
  }
  std::string Refusal() {
    auto answer = Ask();
    return answer ? "" : answer.error().message;
  }

  // The whole life of a first template, until it is on disk.
  void MakeOne() {
    EXPECT_NE(Refusal().find("being made"), std::string::npos);
    maker_.FinishBoot();
    const std::string key = TemplateKey(request_);
    for (int i = 0; i < 600 && !FindTemplate(folder_ / "templates", key); ++i)
      ASSERT_TRUE(loop_->RunOnce(std::chrono::milliseconds(100)));
    ASSERT_TRUE(FindTemplate(folder_ / "templates", key));
  }

  std::unique_ptr<EventLoop> loop_;
  FakeMaker maker_;
  std::unique_ptr<TemplateKeeper> keeper_;
  vm::TemplateRequest request_;
  bool unused_ = false;
  std::chrono::milliseconds try_again_{0};
};

TEST_F(Keeper, SaysWhenNobodyIsConnectedAnyMore) {
  auto daemon = ConnectUnix(Socket(), SOCK_SEQPACKET);
  ASSERT_TRUE(daemon) << daemon.error().message;
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(loop_->RunOnce(std::chrono::milliseconds(50)));
  EXPECT_FALSE(unused_);
  daemon->Reset();
  for (int i = 0; i < 600 && !unused_; ++i)
    ASSERT_TRUE(loop_->RunOnce(std::chrono::milliseconds(100)));
  EXPECT_TRUE(unused_);
}

TEST_F(Keeper, MakesWhatIsMissingOnceAndSharesOneSealedMemory) {
  EXPECT_NE(Refusal().find("being made"), std::string::npos);
  EXPECT_EQ(maker_.made, 1);
  MakeOne();
  EXPECT_EQ(maker_.made, 1);
  const auto first = Ask(), second = Ask();
  ASSERT_TRUE(first && second);
  struct stat one, two;
  ASSERT_EQ(fstat(first->memory.get(), &one), 0);
  ASSERT_EQ(fstat(second->memory.get(), &two), 0);
  EXPECT_EQ(one.st_ino, two.st_ino);
  EXPECT_EQ(pwrite(first->memory.get(), "x", 1, 0), -1);
  char content[6];
  ASSERT_EQ(pread(first->memory.get(), content, 6, 4096), 6);
  EXPECT_EQ(std::string(content, 6), "booted");
}

TEST_F(Keeper, ALaterKeeperLoadsItFromDisk) {
  MakeOne();
  StartKeeper();
  const auto loaded = Ask();
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(maker_.made, 1);
  EXPECT_EQ(pwrite(loaded->memory.get(), "x", 1, 0), -1);
}

TEST_F(Keeper, OneThatIsDamagedOnDiskIsMadeAnew) {
  MakeOne();
  Damage(folder_ / "templates" / TemplateKey(request_) / "state", 0);
  StartKeeper();
  MakeOne();
  EXPECT_EQ(maker_.made, 2);
  EXPECT_TRUE(Ask());
}

TEST_F(Keeper, SaysWhyOneCouldNotBeMadeAndTriesAgain) {
  maker_.fails = true;
  EXPECT_NE(Refusal().find("does not boot"), std::string::npos);
  maker_.fails = false;
  MakeOne();
  EXPECT_EQ(maker_.made, 2);
}

TEST_F(Keeper, DoesNotTryAgainAtOnce) {
  try_again_ = std::chrono::hours(1);
  StartKeeper();
  maker_.fails = true;
  EXPECT_NE(Refusal().find("does not boot"), std::string::npos);
  EXPECT_NE(Refusal().find("does not boot"), std::string::npos);
  EXPECT_EQ(maker_.made, 1);
}

TEST_F(Keeper, AbsentItIsACleanError) {
  keeper_.reset();
  unlink(Socket().c_str());
  EXPECT_EQ(Ask().error().code, ErrorCode::kUnavailable);
}

TEST(TemplateKey, DependsOnEveryPartAndNotOnTheSocket) {
  vm::TemplateRequest request;
  request.set_memory_bytes(1);
  (*request.mutable_files())["a"] = "1";
  (*request.mutable_files())["b"] = "2";
  const std::string key = TemplateKey(request);
  vm::TemplateRequest other = request;
  other.mutable_machine()->set_template_socket("/run/x");
  EXPECT_EQ(TemplateKey(other), key);
  (*other.mutable_files())["b"] = "3";
  EXPECT_NE(TemplateKey(other), key);
  other = request;
  other.add_arguments("x");
  EXPECT_NE(TemplateKey(other), key);
}

}  // namespace
}  // namespace catamaran
