#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "cri/images/image_store.h"
#include "cri/images/testing/image_builder.h"

namespace catamaran {

// Archives of an attacker, which somebody loads.
class ArchiveAttacks : public testing::Test {
 protected:
  // CVE-2023-25153: a manifest of so many bytes, none of which is on the disk. By how much this
  // process grew at its peak.
  uint64_t GrowthByManifestOf(uint64_t bytes);

  ScratchFolder scratch_{"archive-attacks"};
  std::unique_ptr<ImageStore> store_ = ImageStore::Open(HostPath(scratch_ / "images")).value();
};

}  // namespace catamaran
