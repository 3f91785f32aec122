#include "cri/install/node_files.h"

#include <gtest/gtest.h>

#include "cri/config/config.h"

namespace catamaran {
namespace {

TEST(NodeFiles, TheUnitRunsTheProgramsBelowThePrefix) {
  const std::string unit =
      "ExecStart=/usr/bin/catamaran serve --config /etc/catamaran/config.yaml\n"
      "ExecReload=/usr/bin/catamaran config reload\n";
  EXPECT_EQ(UnitBelow(unit, HostPath("/opt/catamaran")),
            "ExecStart=/opt/catamaran/bin/catamaran serve --config /etc/catamaran/config.yaml\n"
            "ExecReload=/opt/catamaran/bin/catamaran config reload\n");
  // A prefix that holds what is looked for ends all the same.
  EXPECT_EQ(UnitBelow("ExecStart=/usr/bin/catamaran x\n", HostPath("/usr/bin/catamaran /b")),
            "ExecStart=/usr/bin/catamaran /b/bin/catamaran x\n");
}

TEST(NodeFiles, LeavingRemovesTheStateOnlyWhereItWasAskedTo) {
  EXPECT_NE(LeavingUnit(HostPath("/opt/catamaran"), State::kPurge).find(" --purge\n"),
            std::string::npos);
  EXPECT_EQ(LeavingUnit(HostPath("/opt/catamaran"), State::kKeep).find("--purge"),
            std::string::npos);
}

TEST(NodeFiles, ThePathsOfANodeLieBelowItsRoot) {
  const NodePlaces places{HostPath("/host"), HostPath("/opt/catamaran")};
  EXPECT_EQ(places.On(kConfigFile).string(), "/host/etc/catamaran/config.yaml");
  EXPECT_EQ((NodePlaces{HostPath("/"), {}}).On(kUnitFile).string(), kUnitFile);
}

TEST(NodeFiles, OnlyArgumentsThatAreSetHideTheDropIn) {
  EXPECT_TRUE(SetsExtraArguments("# of kubeadm\nKUBELET_EXTRA_ARGS=--v=2\n"));
  EXPECT_TRUE(SetsExtraArguments("  KUBELET_EXTRA_ARGS=\"--v=2\""));
  EXPECT_FALSE(SetsExtraArguments("KUBELET_EXTRA_ARGS=\nOTHER=1\n"));
  EXPECT_FALSE(SetsExtraArguments("KUBELET_EXTRA_ARGS=\"\"\n"));
  EXPECT_FALSE(SetsExtraArguments("#KUBELET_EXTRA_ARGS=--v=2\n"));
  EXPECT_FALSE(SetsExtraArguments(""));
}

}  // namespace
}  // namespace catamaran
