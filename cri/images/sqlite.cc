#include "cri/images/sqlite.h"

#include <sqlite3.h>

namespace catamaran {
namespace {

ErrorCode CodeOf(int result) {
  switch (result & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return ErrorCode::kDataLoss;
    case SQLITE_FULL:
      return ErrorCode::kResourceExhausted;
    case SQLITE_PERM:
    case SQLITE_READONLY:
      return ErrorCode::kPermissionDenied;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return ErrorCode::kUnavailable;
    default:
      return ErrorCode::kInternal;
  }
}

}  // namespace

void Database::Close::operator()(sqlite3* database) const { sqlite3_close(database); }
void Database::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

tl::unexpected<Error> Database::Failed(std::string_view doing) const {
  return Fail(CodeOf(sqlite3_extended_errcode(database_.get())), "image index: {}: {}", doing,
              sqlite3_errmsg(database_.get()));
}

Result<Database> Database::Open(const std::string& path) {
  sqlite3* handle = nullptr;
  const int result =
      sqlite3_open_v2(path.c_str(), &handle,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  Database database(handle);
  if (result != SQLITE_OK) return database.Failed("open " + path);
  RETURN_IF_ERROR(
      database.Script("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                      "PRAGMA foreign_keys=ON;"));
  return database;
}

Result<std::vector<Database::Row>> Database::Run(const char* sql,
                                                 const std::vector<std::string>& parameters) {
  sqlite3_stmt* raw = nullptr;
  if (sqlite3_prepare_v2(database_.get(), sql, -1, &raw, nullptr) != SQLITE_OK) return Failed(sql);
  const std::unique_ptr<sqlite3_stmt, Finalize> statement(raw);
  for (size_t i = 0; i < parameters.size(); ++i)
    if (sqlite3_bind_text(raw, static_cast<int>(i + 1), parameters[i].data(),
                          static_cast<int>(parameters[i].size()), SQLITE_STATIC) != SQLITE_OK)
      return Failed(sql);
  std::vector<Row> rows;
  for (;;) {
    const int result = sqlite3_step(raw);
    if (result == SQLITE_DONE) return rows;
    if (result != SQLITE_ROW) return Failed(sql);
    Row row;
    for (int column = 0; column < sqlite3_column_count(raw); ++column) {
      const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(raw, column));
      row.emplace_back(text == nullptr ? "" : text,
                       static_cast<size_t>(sqlite3_column_bytes(raw, column)));
    }
    rows.push_back(std::move(row));
  }
}

Status Database::Script(const char* sql) {
  if (sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK)
    return Failed(sql);
  return {};
}

}  // namespace catamaran
