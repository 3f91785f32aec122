// Kills a process at every step of pulling and removing, and looks at what it left.
#include "cri/images/testing/crash_cycle.h"
#include "cri/registry/testing/pull_lab.h"

namespace catamaran {
namespace {

// What the killed process does: two images that share a layer, one of them removed again.
Status PullAndRemove(const HostPath& root, const std::vector<std::string>& registries) {
  const std::string& registry = registries.at(0);
  ASSIGN_OR_RETURN(const auto store, ImageStore::Open(root));
  ImagePuller puller(*store, {});
  ASSIGN_OR_RETURN(const auto one, puller.Pull(registry + "/one:1", std::nullopt, {}));
  RETURN_IF_ERROR(puller.Pull(registry + "/two:1", std::nullopt, {}));
  return store->Remove(one.id);
}

class PullCrashTest : public PullLab {
 protected:
  void SetUp() override {
    AddImage(*registry_, "one", "1", one_);
    AddImage(*registry_, "two", "1", two_);
  }

  // Every image there is must be whole, nothing else may be left, and what was interrupted works.
  void ExpectConsistent(const std::filesystem::path& root) {
    puller_.reset();
    store_.reset();
    auto opened = ImageStore::Open(HostPath(root));
    ASSERT_TRUE(opened) << opened.error().message;
    store_ = std::move(*opened);
    ExpectBlobsOfImages(*store_, root, scratch_ / "good");
    MakePuller();
    for (const char* name : {"/one:1", "/two:1"}) {
      const auto pulled = Pull(registry_->address() + name);
      EXPECT_TRUE(pulled) << pulled.error().message;
    }
    puller_.reset();
    store_.reset();
  }

  const std::string shared_ = Layer("shared", 100'000, 1);
  const TestImage one_{.layers = {shared_, Layer("one", 100, 2), Layer("more", 100, 3)}};
  const TestImage two_{.layers = {shared_, Layer("two", 100, 4)}};
  std::unique_ptr<LocalRegistry> registry_ = StartRegistry();
};

TEST_F(PullCrashTest, AnImageIsWholeOrAbsentWhereverThePullDies) {
  {
    auto good = ImageStore::Open(HostPath(scratch_ / "good")).value();
    ImagePuller puller(*good, {});
    ASSERT_TRUE(puller.Pull(registry_->address() + "/one:1", std::nullopt, {}));
    ASSERT_TRUE(puller.Pull(registry_->address() + "/two:1", std::nullopt, {}));
  }
  const int steps = KillCycleAtEveryStep(scratch_.path(), {registry_->address()},
                                         [this](const auto& root) { ExpectConsistent(root); });
  EXPECT_GE(steps, 10);
}

}  // namespace
}  // namespace catamaran

int main(int argc, char** argv) {
  if (const auto code = catamaran::RunAsCycle(argc, argv, catamaran::PullAndRemove)) return *code;
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
