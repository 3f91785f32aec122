#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "cri/images/image_store.h"
#include "cri/images/testing/image_builder.h"
#include "cri/images/testing/tar_builder.h"
#include "sandbox/base/files.h"

namespace catamaran {

inline TestImage Simple(const std::string& name, const std::string& content = "hello") {
  return {.layers = {TarBuilder().Folder("etc/").File("etc/motd", content).Build()}, .name = name};
}

// A store in a folder of its own.
class ImageStoreTest : public testing::Test {
 protected:
  void Open() {
    store_.reset();
    auto opened = ImageStore::Open(HostPath(scratch_ / "images"));
    ASSERT_TRUE(opened) << opened.error().message;
    store_ = std::move(*opened);
  }
  void SetUp() override { Open(); }

  Result<std::vector<Image>> LoadTar(const std::string& bytes,
                                     const ImageStore::LoadOptions& options = {}) {
    WriteTestFile(scratch_ / "archive", bytes);
    return store_->Load(HostPath(scratch_ / "archive"), options);
  }
  std::string Load(const TestImage& image) {
    auto loaded = LoadTar(TarOf(OciLayoutFiles({image})));
    EXPECT_TRUE(loaded) << loaded.error().message;
    return loaded ? (*loaded)[0].id : "";
  }
  std::vector<std::string> Files(const std::string& folder) {
    return ListDirectory(scratch_ / ("images/" + folder)).value();
  }
  std::optional<Image> Find(const std::string& reference) {
    auto found = store_->Find(reference);
    EXPECT_TRUE(found) << found.error().message;
    return found ? *found : std::nullopt;
  }

  ScratchFolder scratch_{std::string("store-") +
                         testing::UnitTest::GetInstance()->current_test_info()->name()};
  std::unique_ptr<ImageStore> store_;
};

}  // namespace catamaran
