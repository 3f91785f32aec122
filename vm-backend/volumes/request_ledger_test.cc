#include "vm-backend/volumes/request_ledger.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>

namespace catamaran {
namespace {

class Ledger : public testing::Test {
 protected:
  void SetUp() override {
    auto made = SharedLedger::Make();
    ASSERT_TRUE(made);
    ledger_ = std::move(*made);
  }
  // As the kernel does in read(2).
  void Read(uint32_t opcode, uint64_t unique) {
    fuse_in_header header{};
    header.len = sizeof header;
    header.opcode = opcode;
    header.unique = unique;
    memcpy(ledger_->buffer().data(), &header, sizeof header);
  }
  std::set<uint64_t> Unanswered() {
    std::set<uint64_t> found;
    ledger_->TakeUnanswered([&](uint64_t unique) { found.insert(unique); });
    return found;
  }

  SharedLedger ledger_;
};

TEST_F(Ledger, HasWhatWasReadAndNotAnswered) {
  for (const uint64_t unique : {2, 4, 6, 8}) {
    Read(FUSE_LOOKUP, unique);
    ASSERT_TRUE(ledger_->NoteBuffer());
    ledger_->ForgetBuffer();
  }
  ledger_->Answered(4);
  ledger_->Answered(4);
  ledger_->Answered(1000);
  EXPECT_EQ(Unanswered(), (std::set<uint64_t>{2, 6, 8}));
  EXPECT_EQ(Unanswered(), std::set<uint64_t>{});
}

TEST_F(Ledger, HasARequestWhoseReaderDiedBeforeItCouldSaySo) {
  Read(FUSE_WRITE, 22);
  EXPECT_EQ(Unanswered(), std::set<uint64_t>{22});
  EXPECT_EQ(Unanswered(), std::set<uint64_t>{});
}

TEST_F(Ledger, RequestsWithoutAnAnswerAreNotWaitedFor) {
  Read(FUSE_FORGET, 2);
  ASSERT_TRUE(ledger_->NoteBuffer());
  EXPECT_EQ(Unanswered(), std::set<uint64_t>{});
}

TEST_F(Ledger, KeepsInitForTheNextServer) {
  EXPECT_TRUE(ledger_->init().empty());
  Read(FUSE_INIT, 2);
  ASSERT_TRUE(ledger_->NoteBuffer());
  ledger_->ForgetBuffer();
  EXPECT_EQ(ledger_->init().size(), sizeof(fuse_in_header));
  EXPECT_EQ(ledger_->init_unique(), 2u);
  EXPECT_FALSE(ledger_->init_answered());
  EXPECT_EQ(Unanswered(), std::set<uint64_t>{}) << "INIT is repeated, not failed";
  ledger_->Answered(2);
  EXPECT_TRUE(ledger_->init_answered());
}

TEST_F(Ledger, IsBounded) {
  for (uint64_t i = 1; i <= RequestLedger::kMostRequests; ++i) {
    Read(FUSE_READ, 2 * i);
    ASSERT_TRUE(ledger_->NoteBuffer()) << i;
  }
  Read(FUSE_READ, 2 * (RequestLedger::kMostRequests + 1));
  EXPECT_FALSE(ledger_->NoteBuffer());
  ledger_->Answered(100);
  EXPECT_TRUE(ledger_->NoteBuffer());
}

}  // namespace
}  // namespace catamaran
