#include "shim/exit_journal.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "sandbox/base/files.h"

namespace catamaran {
namespace {

class ExitJournalTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(MakeDirectories(folder_)); }
  void TearDown() override { ASSERT_TRUE(RemoveTree(folder_)); }
  static pod::ProcessExited Exit(const std::string& id, int code) {
    pod::ProcessExited exited;
    exited.mutable_process()->set_container_id(id);
    exited.mutable_exit()->set_exit_code(code);
    exited.mutable_exit()->set_message(std::string(100, 'm'));
    return exited;
  }

  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("catamaran-journal-" + std::to_string(getpid()));
  const std::string path_ = folder_ / "journal";
};

TEST_F(ExitJournalTest, IsReadBackByAnotherProcess) {
  auto journal = ExitJournal::Create(path_).value();
  EXPECT_TRUE(ExitJournal::Read(path_).value().empty());
  ASSERT_TRUE(journal.Append(Exit("a", 1)));
  ASSERT_TRUE(journal.Append(Exit("b", 137)));
  const auto exits = ExitJournal::Read(path_).value();
  ASSERT_EQ(exits.size(), 2u);
  EXPECT_EQ(exits[0].process().container_id(), "a");
  EXPECT_EQ(exits[1].exit().exit_code(), 137);
}

TEST_F(ExitJournalTest, ForgetsRemovedContainersAndGoesOn) {
  auto journal = ExitJournal::Create(path_).value();
  ASSERT_TRUE(journal.Append(Exit("a", 1)));
  ASSERT_TRUE(journal.Append(Exit("b", 2)));
  ASSERT_TRUE(journal.Remove("a"));
  ASSERT_TRUE(journal.Remove("unknown"));
  ASSERT_TRUE(journal.Append(Exit("c", 3)));
  const auto exits = ExitJournal::Read(path_).value();
  ASSERT_EQ(exits.size(), 2u);
  EXPECT_EQ(exits[0].process().container_id(), "b");
  EXPECT_EQ(exits[1].process().container_id(), "c");
}

TEST_F(ExitJournalTest, ATornOrDamagedEndIsNoRecord) {
  {
    auto journal = ExitJournal::Create(path_).value();
    ASSERT_TRUE(journal.Append(Exit("a", 1)));
    ASSERT_TRUE(journal.Append(Exit("b", 2)));
  }
  const std::string whole = ReadFile(path_).value();
  const size_t first_end = 8 + (whole.size() - 8) / 2;
  for (size_t length = first_end; length < whole.size(); ++length) {
    ASSERT_TRUE(ReplaceFile(path_, whole.substr(0, length), 0600, Durability::kProcessCrash));
    EXPECT_EQ(ExitJournal::Read(path_).value().size(), 1u) << length;
  }
  std::string damaged = whole;
  damaged.back() ^= 1;
  ASSERT_TRUE(ReplaceFile(path_, damaged, 0600, Durability::kProcessCrash));
  EXPECT_EQ(ExitJournal::Read(path_).value().size(), 1u);
}

TEST_F(ExitJournalTest, AnAbsentFileIsEmptyAndAForeignOneAnError) {
  EXPECT_TRUE(ExitJournal::Read(folder_ / "absent").value().empty());
  ASSERT_TRUE(ReplaceFile(path_, "something else", 0600, Durability::kProcessCrash));
  EXPECT_EQ(ExitJournal::Read(path_).error().code, ErrorCode::kDataLoss);
}

}  // namespace
}  // namespace catamaran
