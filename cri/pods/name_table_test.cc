#include "cri/pods/name_table.h"

#include <gtest/gtest.h>

#include <thread>

namespace catamaran {
namespace {

CallContext Soon() { return {.deadline = Deadline::After(std::chrono::seconds(30))}; }

TEST(NameTable, AnotherConfigurationIsRefusedNamingTheOwner) {
  NameTable names;
  ASSERT_TRUE(names.Claim("web", "id-1", "a", Soon())->is_new);
  const auto refused = names.Claim("web", "id-2", "b", Soon());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kAlreadyExists);
  EXPECT_NE(refused.error().message.find("id-1"), std::string::npos);
}

TEST(NameTable, WhoJoinsAFailedCreationGetsItsError) {
  NameTable names;
  ASSERT_TRUE(names.Claim("web", "id-1", "a", Soon()));
  std::thread owner([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    names.Release("web", "id-1", Error{ErrorCode::kResourceExhausted, 0, "no room"});
  });
  const auto joined = names.Claim("web", "id-2", "a", Soon());
  owner.join();
  // Where it came too late to join, it owns the name itself.
  if (joined) {
    EXPECT_TRUE(joined->is_new);
    return;
  }
  EXPECT_EQ(joined.error().code, ErrorCode::kResourceExhausted);
  EXPECT_TRUE(names.Claim("web", "id-3", "a", Soon())->is_new);
}

TEST(NameTable, WhoJoinsACreationThatItsOwnCallerGaveUpTriesItself) {
  NameTable names;
  ASSERT_TRUE(names.Claim("web", "id-1", "a", Soon()));
  std::thread owner([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    names.Release("web", "id-1", Error{ErrorCode::kDeadlineExceeded, 0, "too late"});
  });
  const auto claimed = names.Claim("web", "id-2", "a", Soon());
  owner.join();
  ASSERT_TRUE(claimed);
  EXPECT_TRUE(claimed->is_new);
  EXPECT_EQ(claimed->id, "id-2");
}

TEST(NameTable, WaitingEndsWithTheCallersDeadline) {
  NameTable names;
  ASSERT_TRUE(names.Claim("web", "id-1", "a", Soon()));
  const auto late =
      names.Claim("web", "id-2", "a", {.deadline = Deadline::After(std::chrono::milliseconds(20))});
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::kDeadlineExceeded);
}

TEST(NameTable, AReleaseByOneWhoDoesNotOwnTheNameChangesNothing) {
  NameTable names;
  ASSERT_TRUE(names.Claim("web", "id-1", "a", Soon()));
  names.Settle("web", "id-1");
  names.Release("web", "id-2");
  EXPECT_EQ(names.Claim("web", "id-3", "a", Soon())->id, "id-1");
  names.Release("web", "id-1");
  EXPECT_EQ(names.Claim("web", "id-3", "a", Soon())->id, "id-3");
}

}  // namespace
}  // namespace catamaran
