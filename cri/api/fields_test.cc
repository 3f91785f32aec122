// fields.txt says of every field of the interface what becomes of it, names tests that exist, and
// fields.md is what it says. After a change of runtime.proto or fields.txt:
//   CATAMARAN_REWRITE_FIELDS=1 build/tests/cri_fields_test
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <regex>
#include <set>

#include "cri/api/field_table.h"
#include "cri/api/runtime.pb.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

namespace fs = std::filesystem;

const fs::path kTree = CATAMARAN_TREE;
const fs::path kNotes = kTree / "cri/api/fields.txt", kRendering = kTree / "cri/api/fields.md";

const std::vector<FieldPath>& Paths() {
  static const auto paths = FieldPathsOf(*runtime::v1::VersionRequest::descriptor()->file());
  return paths;
}

const std::vector<FieldNote>& Notes() {
  static const auto notes = [] {
    auto parsed = ParseFieldNotes(ReadFile(kNotes).value_or(""));
    if (!parsed) ADD_FAILURE() << kNotes << ": " << parsed.error().message;
    return parsed ? *parsed : std::vector<FieldNote>();
  }();
  return notes;
}

FieldTable Table() { return MakeFieldTable(Paths(), Notes()); }

// The text of files below `folder` whose name ends so, by path.
std::map<fs::path, std::string> Sources(const fs::path& folder, std::string_view ending) {
  std::map<fs::path, std::string> texts;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.path().filename().string().ends_with(ending))
      texts[entry.path()] = ReadFile(entry.path()).value_or("");
  }
  return texts;
}

// Names of tests as notes give them; a row's name is any text in quotes of its test's file.
class KnownTests {
 public:
  KnownTests() {
    const std::regex macro(R"(\bTEST(_F|_P)?\(\s*(\w+)\s*,\s*(\w+)\s*\))");
    for (const char* folder : {"cri", "e2e", "shim", "sandbox", "vm-backend"}) {
      for (const auto& [path, text] : Sources(kTree / folder, "_test.cc")) {
        for (std::sregex_iterator it(text.begin(), text.end(), macro), end; it != end; ++it)
          files_[(*it)[2].str() + "." + (*it)[3].str()] = text;
      }
    }
    const std::regex function(R"(\nfunc (Test\w+)\()");
    for (const auto& [path, text] : Sources(kTree / "e2e/kubelet-client", "_test.go")) {
      for (std::sregex_iterator it(text.begin(), text.end(), function), end; it != end; ++it)
        files_["kubelet-client/" + (*it)[1].str()] = text;
    }
  }

  bool Has(const std::string& test) const {
    if (files_.contains(test)) return true;
    const size_t slash = test.rfind('/');
    const auto file = files_.find(test.substr(0, slash));
    if (slash == std::string::npos || file == files_.end()) return false;
    return file->second.find('"' + test.substr(slash + 1) + '"') != std::string::npos;
  }

  size_t size() const { return files_.size(); }

 private:
  std::map<std::string, std::string> files_;
};

// Of the daemon's sources, with literals in one piece that the formatter has cut.
std::string DaemonsWords() {
  std::string words;
  for (const auto& [path, text] : Sources(kTree / "cri", ".cc")) {
    if (!path.string().ends_with("_test.cc")) words += text;
  }
  return std::regex_replace(words, std::regex(R"("\s*\n\s*")"), "");
}

TEST(FieldPatterns, MatchSegmentBySegment) {
  EXPECT_TRUE(MatchesPattern("A.b.c", "A.b.c"));
  EXPECT_FALSE(MatchesPattern("A.b", "A.b.c"));
  EXPECT_TRUE(MatchesPattern("A.*.c", "A.b.c"));
  EXPECT_FALSE(MatchesPattern("A.*", "A.b.c"));
  EXPECT_TRUE(MatchesPattern("A.**", "A.b.c"));
  EXPECT_TRUE(MatchesPattern("**.c", "A.b.c"));
  EXPECT_TRUE(MatchesPattern("{A,B}.b.{c,d}", "B.b.d"));
  EXPECT_FALSE(MatchesPattern("{A,B}.b.{c,d}", "B.b.e"));
}

TEST(FieldNotes, SayWhichLineIsWrong) {
  const std::pair<const char*, const char*> rows[] = {
      {"A.b | honoured", "line 1: must be PATTERN | KIND"},
      {"\nA.b | done | X.Y |", "line 2: 'done' must be honoured"},
      {"A.b | honoured | | ", "line 1: honoured needs a test"},
      {"# a\nA.b | refused | X.Y |", "line 2: refused needs a text"},
      {"A.b | ignored | |", "line 1: ignored needs a text"},
  };
  for (const auto& [text, message] : rows) {
    const auto notes = ParseFieldNotes(text);
    ASSERT_FALSE(notes) << text;
    EXPECT_NE(notes.error().message.find(message), std::string::npos) << notes.error().message;
  }
}

TEST(Fields, AreThoseOfEveryMessage) {
  EXPECT_EQ(FieldsWithoutAPath(*runtime::v1::VersionRequest::descriptor()->file()),
            std::vector<std::string>());
  EXPECT_GT(Paths().size(), 500u);
}

TEST(Fields, EachHasANote) {
  for (const auto& row : Table().rows)
    EXPECT_NE(row.note, nullptr) << row.path << ": no line of " << kNotes << " speaks of it";
}

TEST(Fields, EachNoteSpeaksOfAField) {
  std::set<const FieldNote*> used;
  for (const auto& row : Table().rows) used.insert(row.note);
  for (const FieldNote& note : Notes()) {
    EXPECT_TRUE(used.contains(&note)) << kNotes << ":" << note.line << ": " << note.pattern
                                      << " matches no field that an earlier line does not speak of";
  }
}

// A request's field has an effect or is refused; an answer's is given or not.
TEST(Fields, OfRequestsAndAnswersHaveTheirOwnKinds) {
  using Kind = FieldNote::Kind;
  for (const auto& row : Table().rows) {
    if (row.note == nullptr) continue;
    const std::string message = row.path.substr(0, row.path.find('.'));
    const bool answers = row.note->kind == Kind::kAnswered || row.note->kind == Kind::kAbsent;
    EXPECT_EQ(message.ends_with("Response"), answers) << row.path;
  }
}

TEST(Fields, EachTestExists) {
  const KnownTests known;
  ASSERT_GT(known.size(), 100u);
  for (const FieldNote& note : Notes()) {
    for (const std::string& test : note.tests)
      EXPECT_TRUE(known.Has(test)) << kNotes << ":" << note.line << ": there is no test " << test;
  }
}

TEST(Fields, EachRefusalIsInTheDaemonsWords) {
  const std::string words = DaemonsWords();
  for (const FieldNote& note : Notes()) {
    if (note.kind != FieldNote::Kind::kRefused) continue;
    EXPECT_NE(words.find(note.text), std::string::npos)
        << kNotes << ":" << note.line << ": no message of the daemon says \"" << note.text << '"';
  }
}

TEST(Fields, AreRenderedAsTheyAre) {
  const std::string rendering = RenderFieldTable(Table());
  if (getenv("CATAMARAN_REWRITE_FIELDS") != nullptr) {
    ASSERT_TRUE(ReplaceFile(kRendering, rendering, 0644, Durability::kProcessCrash));
  }
  EXPECT_TRUE(ReadFile(kRendering).value_or("") == rendering)
      << kRendering << " is stale; write it anew:\n"
      << "  CATAMARAN_REWRITE_FIELDS=1 build/tests/cri_fields_test --gtest_filter=Fields.*";
}

}  // namespace
}  // namespace catamaran
