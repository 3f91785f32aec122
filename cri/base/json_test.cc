#include "cri/base/json.h"

#include <gtest/gtest.h>

namespace catamaran {
namespace {

using nlohmann::json;

std::string Complaint(const std::string& text, JsonComplaint complaint = JsonComplaint::kLine) {
  const auto parsed = ParseJson(text, "file", complaint);
  if (parsed) return "";
  EXPECT_EQ(parsed.error().code, ErrorCode::kInvalidArgument);
  return parsed.error().message;
}

TEST(Json, ThatIsNoneIsRefusedWithItsLineAndNothingOfItself) {
  EXPECT_EQ(Complaint(""), "file:1: not JSON");
  EXPECT_EQ(Complaint("{\n\"a\": 1,\n}"), "file:3: not JSON");
  EXPECT_EQ(Complaint("{\"auth\": \"s3cret"), "file:1: not JSON");
  EXPECT_EQ(Complaint("{\"a\": \"\xff\"}"), "file:1: not JSON");
  EXPECT_EQ(Complaint("1e999"), "file: not JSON");
  EXPECT_EQ(Complaint(std::string("{}\n\0junk", 8)), "file:2: not JSON");
  EXPECT_NE(Complaint("{\n,}", JsonComplaint::kLineAndWords).find("file:2: not JSON: "),
            std::string::npos);
}

TEST(Json, IsBoundedBeforeItIsBuilt) {
  const auto nested = [](size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_EQ(Complaint(nested(64)), "");
  EXPECT_EQ(Complaint(nested(65)), "file: nested deeper than 64");
  EXPECT_EQ(Complaint("\"" + nested(100) + "\\\"" + nested(100) + "\""), "") << "in a string";
  std::string many = "[0";
  for (int i = 0; i < 200'000; ++i) many += ",0";
  EXPECT_EQ(Complaint(many + "]"), "file: more than 200000 values");
}

TEST(JsonObject, ReadsByTypeAndTakesAbsentAndNullAlike) {
  const auto value = json::parse(
      R"({"text": "a", "size": 7, "list": ["x", "y"], "map": {"k": "v"}, "none": null})");
  const auto object = JsonObject::From(value, "file").value();
  EXPECT_EQ(object.String("text").value(), "a");
  EXPECT_EQ(object.Size("size").value(), 7u);
  EXPECT_EQ(object.Strings("list").value(), (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(object.Keys("map").value(), std::vector<std::string>{"k"});
  EXPECT_EQ(object.Object("map")->String("k").value(), "v");
  for (const char* absent : {"none", "absent"}) {
    EXPECT_FALSE(object.Has(absent));
    EXPECT_EQ(object.String(absent).value(), "");
    EXPECT_EQ(object.Size(absent).value(), 0u);
    EXPECT_TRUE(object.Strings(absent)->empty());
    EXPECT_TRUE(object.StringMap(absent)->empty());
  }
}

TEST(JsonObject, NamesTheFieldAndWhatItShouldBe) {
  const auto value = json::parse(R"({"text": 5, "size": -1, "list": [1], "nul": "a\u0000b"})");
  const auto object = JsonObject::From(value, "file").value();
  EXPECT_EQ(object.String("text").error().message, "file: field \"text\" is not a string");
  EXPECT_EQ(object.Size("size").error().message,
            "file: field \"size\" is not a whole number from 0");
  EXPECT_EQ(object.Strings("list").error().message, "file.list[0]: is not a string");
  EXPECT_NE(object.String("nul").error().message.find("NUL"), std::string::npos);
  EXPECT_FALSE(JsonObject::From(json::array(), "file"));
}

}  // namespace
}  // namespace catamaran
