#include "cri/network/builtin/record_store.h"

#include <gtest/gtest.h>

#include "sandbox/base/files.h"

namespace catamaran {
namespace {

class RecordStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = HostPath(std::filesystem::path(testing::TempDir()) /
                       ("record_store_" + std::to_string(getpid())));
    ASSERT_TRUE(RemoveTree(folder_.value()));
  }
  void TearDown() override { EXPECT_TRUE(RemoveTree(folder_.value())); }
  HostPath folder_;
};

TEST_F(RecordStoreTest, KeepsRecordsUntilTheyAreRemoved) {
  const auto store = NetworkRecordStore::Open(folder_).value();
  network::NetworkRecord record;
  record.set_pod_id("one");
  record.set_slot(7);
  ASSERT_TRUE(store.Save(record));
  const auto loaded = NetworkRecordStore::Open(folder_).value().Load().value();
  ASSERT_EQ(loaded.size(), 1u);
  EXPECT_EQ(loaded[0].slot(), 7u);
  ASSERT_TRUE(store.Remove("one"));
  ASSERT_TRUE(store.Remove("one")) << "absent is fine";
  EXPECT_TRUE(store.Load().value().empty());
}

TEST_F(RecordStoreTest, DropsDamagedAndHalfWrittenFiles) {
  ASSERT_TRUE(NetworkRecordStore::Open(folder_));
  for (const char* name : {"bad.record", "empty.record", "half.record.new"})
    ASSERT_TRUE(ReplaceFile(folder_.value() / name, name[0] == 'e' ? "" : "\xff\xff", 0600,
                            Durability::kProcessCrash));
  EXPECT_TRUE(NetworkRecordStore::Open(folder_).value().Load().value().empty());
  EXPECT_TRUE(ListDirectory(folder_.value()).value().empty());
}

TEST_F(RecordStoreTest, RefusesRecordsOfTheFuture) {
  const auto store = NetworkRecordStore::Open(folder_).value();
  network::NetworkRecord record;
  record.set_format_version(2);
  record.set_pod_id("one");
  ASSERT_TRUE(ReplaceFile(folder_.value() / "one.record", record.SerializeAsString(), 0600,
                          Durability::kProcessCrash));
  EXPECT_EQ(store.Load().error().code, ErrorCode::kFailedPrecondition);
}

TEST_F(RecordStoreTest, RemembersThePodCidr) {
  const auto store = NetworkRecordStore::Open(folder_).value();
  EXPECT_EQ(store.LoadPodCidr().value(), "");
  ASSERT_TRUE(store.SavePodCidr("10.1.0.0/24"));
  EXPECT_EQ(store.LoadPodCidr().value(), "10.1.0.0/24");
  EXPECT_TRUE(store.Load().value().empty());
}

}  // namespace
}  // namespace catamaran
