#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/base/files.h"
#include "sandbox/base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace catamaran {

// One SQLite connection with the few calls that the index needs. Not thread-safe.
class Database {
 public:
  // In WAL mode.
  static Result<Database> Open(const std::string& path);

  using Row = std::vector<std::string>;  // numbers as decimal text, NULL as ""
  // Runs one statement with text parameters bound in order; returns its rows.
  Result<std::vector<Row>> Run(const char* sql, const std::vector<std::string>& parameters = {});
  // Statements that return nothing, several at once.
  Status Script(const char* sql);

  // Runs `body` in a transaction: committed where it succeeds, rolled back where it fails. With
  // kProcessCrash a commit survives the process but does not wait for the disk.
  template <typename Body>
  Status Transaction(Durability durability, Body body) {
    RETURN_IF_ERROR(Script(durability == Durability::kPowerCut
                               ? "PRAGMA synchronous=FULL; BEGIN IMMEDIATE"
                               : "PRAGMA synchronous=NORMAL; BEGIN IMMEDIATE"));
    Status done = body();
    if (done) done = Script("COMMIT");
    if (!done) (void)Script("ROLLBACK");
    return done;
  }

 private:
  struct Close {
    void operator()(sqlite3* database) const;
  };
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  explicit Database(sqlite3* database) : database_(database) {}
  tl::unexpected<Error> Failed(std::string_view doing) const;

  std::unique_ptr<sqlite3, Close> database_;
};

}  // namespace catamaran
