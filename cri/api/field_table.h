#pragma once

#include <string>
#include <vector>

#include "cri/api/field_notes.h"
#include "cri/api/field_paths.h"

namespace catamaran {

// Every field of the interface with what becomes of it.
struct FieldTable {
  struct Row {
    std::string path;
    const FieldNote* note;  // null where none speaks of it
  };
  std::vector<Row> rows;
};

// The first note whose pattern matches speaks of a field. `notes` must outlive the table.
FieldTable MakeFieldTable(const std::vector<FieldPath>& paths, const std::vector<FieldNote>& notes);

// The table in Markdown, a section for each message. Fields below one that share one note, whose
// pattern ends in `**`, are one row.
std::string RenderFieldTable(const FieldTable& table);

}  // namespace catamaran
