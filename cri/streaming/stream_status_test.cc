#include "cri/streaming/stream_status.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace catamaran {
namespace {

TEST(StreamStatus, IsJsonFromVersionFourOn) {
  for (const int version : {4, 5}) {
    EXPECT_EQ(nlohmann::json::parse(StatusOfExit(version, 0))["status"], "Success");
    const auto failure = nlohmann::json::parse(StatusOfExit(version, 42));
    EXPECT_EQ(failure["reason"], "NonZeroExitCode");
    EXPECT_EQ(failure["details"]["causes"][0]["reason"], "ExitCode");
    EXPECT_EQ(failure["details"]["causes"][0]["message"], "42");
    const auto error =
        nlohmann::json::parse(StatusOfError(version, {ErrorCode::kNotFound, 0, "no \xff such"}));
    EXPECT_EQ(error["reason"], "InternalError");
    EXPECT_EQ(error["code"], 500);
    EXPECT_NE(error["message"].get<std::string>().find("such"), std::string::npos);
  }
}

TEST(StreamStatus, IsTextOfFailuresBeforeThat) {
  for (const int version : {1, 2, 3}) {
    EXPECT_EQ(StatusOfExit(version, 0), "");
    EXPECT_NE(StatusOfExit(version, 42).find("exit status 42"), std::string::npos);
    EXPECT_NE(StatusOfError(version, {ErrorCode::kInternal, 0, "why"}).find("why"),
              std::string::npos);
  }
}

TEST(TerminalSizeReader, FindsSizesHoweverTheyAreCut) {
  const std::string text = "{\"Width\":80,\"Height\":24}\n{\"Width\":120,\"Height\":50}";
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    TerminalSizeReader reader;
    auto size = reader.Read(text.substr(0, cut));
    if (const auto rest = reader.Read(text.substr(cut))) size = rest;
    ASSERT_TRUE(size) << cut;
    EXPECT_EQ(size->columns, 120);
    EXPECT_EQ(size->rows, 50);
  }
}

TEST(TerminalSizeReader, SkipsWhatIsNoSize) {
  TerminalSizeReader reader;
  for (const char* text :
       {"{}", "{\"Width\":0,\"Height\":24}", "{\"Width\":65536,\"Height\":24}", "}}}", "{{{",
        "{\"Width\":-1,\"Height\":24}", "{\"Width\":\"80\",\"Height\":24}", "[1,2]\x01\xff"})
    EXPECT_FALSE(reader.Read(text)) << text;
  EXPECT_FALSE(reader.Read("{" + std::string(100'000, 'x') + "}"));
  EXPECT_TRUE(reader.Read("{\"Width\":1,\"Height\":1}"));
}

}  // namespace
}  // namespace catamaran
