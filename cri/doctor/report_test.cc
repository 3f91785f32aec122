#include "cri/doctor/report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace catamaran {
namespace {

constexpr auto kOk = FindingStatus::kOk;
constexpr auto kDegraded = FindingStatus::kDegraded;
constexpr auto kMissing = FindingStatus::kMissing;

DoctorReport Report(FindingStatus host, FindingStatus vm) {
  return {"1.0",
          "defaults",
          "Linux",
          {"ns", "vm"},
          {{"host", {}, {{"cgroups", host, "seen", "meaning", "remedy"}}},
           {"handler ns", {"ns"}, {{"erofs", kOk, "mounts", "", ""}}},
           {"handler vm", {"vm"}, {{"accelerator", vm, "kvm", "slow", "buy"}}}}};
}

TEST(DoctorReport, FailsWhereAHandlerLacksSomething) {
  EXPECT_EQ(Report(kOk, kOk).ExitCode(), 0);
  EXPECT_EQ(Report(kDegraded, kDegraded).ExitCode(), 0) << "degraded lines do not fail";
  EXPECT_EQ(Report(kOk, kMissing).ExitCode(), 1);
  EXPECT_EQ(Report(kMissing, kOk).ExitCode(), 1);
}

TEST(DoctorReport, NamesTheHandlersThatCannotRunPods) {
  const DoctorReport vm = Report(kOk, kMissing);
  EXPECT_TRUE(vm.CanRunPods("ns"));
  EXPECT_FALSE(vm.CanRunPods("vm"));
  const DoctorReport host = Report(kMissing, kOk);
  EXPECT_FALSE(host.CanRunPods("ns")) << "what the host lacks, every handler lacks";
}

TEST(DoctorReport, WithoutAHandlerFails) {
  DoctorReport report = Report(kOk, kOk);
  report.handlers.clear();
  EXPECT_EQ(report.ExitCode(), 1);
}

TEST(DoctorReport, IsALineEachWithTheRemedyOnlyWhereItIsDue) {
  EXPECT_EQ(ReportToText(Report(kOk, kMissing)),
            "catamaran 1.0, defaults, Linux\n"
            "\n"
            "host\n"
            "  ok        cgroups      seen\n"
            "\n"
            "handler ns\n"
            "  ok        erofs        mounts\n"
            "\n"
            "handler vm\n"
            "  missing   accelerator  kvm\n"
            "                         so:  slow\n"
            "                         fix: buy\n"
            "\n"
            "ns: can run pods\n"
            "vm: cannot run pods: accelerator\n");
}

TEST(DoctorReport, KeepsForeignWordsOnOneLineAndShort) {
  DoctorReport report = Report(kOk, kOk);
  report.sections[0].findings[0].seen = "a\n\x1b[31mb\r\n" + std::string(100'000, 'x');
  const std::string text = ReportToText(report);
  EXPECT_NE(text.find("  a [31mb xxx"), std::string::npos);
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_LT(text.size(), 2000u);
}

TEST(DoctorReport, IsOneJsonDocument) {
  DoctorReport report = Report(kDegraded, kMissing);
  report.sections[0].findings[0].seen = "\xff";
  const auto document = nlohmann::json::parse(ReportToJson(report));
  EXPECT_EQ(document["handlers"][0]["can_run_pods"], true);
  EXPECT_EQ(document["handlers"][1]["can_run_pods"], false);
  EXPECT_EQ(document["findings"].size(), 3u);
  EXPECT_EQ(document["findings"][2]["section"], "handler vm");
  EXPECT_EQ(document["findings"][2]["status"], "missing");
  EXPECT_EQ(document["findings"][2]["remedy"], "buy");
}

}  // namespace
}  // namespace catamaran
