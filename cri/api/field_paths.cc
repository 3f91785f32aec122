#include "cri/api/field_paths.h"

#include <set>

namespace catamaran {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;

bool IsNumber(const Descriptor* type) {
  return type->name() == "Int64Value" || type->name() == "UInt64Value";
}

// The message whose fields stand for this one; none for what has no parts.
const Descriptor* PartsOf(const FieldDescriptor* field) {
  if (field->type() != FieldDescriptor::TYPE_MESSAGE || field->is_map()) return nullptr;
  const Descriptor* type = field->message_type();
  return IsNumber(type) || type->field_count() == 0 ? nullptr : type;
}

void Walk(const Descriptor* type, const std::string& prefix, std::vector<FieldPath>* paths) {
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    const std::string path = prefix + "." + field->name();
    if (const Descriptor* parts = PartsOf(field)) {
      Walk(parts, path, paths);
    } else {
      paths->push_back({path, field});
    }
  }
}

// Requests and answers, each once, in the order of the services.
std::vector<const Descriptor*> Roots(const FileDescriptor& file) {
  std::vector<const Descriptor*> roots;
  std::set<const Descriptor*> seen;
  for (int i = 0; i < file.service_count(); ++i) {
    for (int j = 0; j < file.service(i)->method_count(); ++j) {
      const auto* method = file.service(i)->method(j);
      for (const Descriptor* type : {method->input_type(), method->output_type()})
        if (seen.insert(type).second) roots.push_back(type);
    }
  }
  return roots;
}

// Also the fields that hold messages, which paths only pass through.
void Mark(const Descriptor* type, std::set<const FieldDescriptor*>* marked) {
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    marked->insert(field);
    if (field->type() == FieldDescriptor::TYPE_MESSAGE) Mark(field->message_type(), marked);
  }
}

}  // namespace

std::vector<FieldPath> FieldPathsOf(const FileDescriptor& file) {
  std::vector<FieldPath> paths;
  for (const Descriptor* root : Roots(file)) Walk(root, root->name(), &paths);
  return paths;
}

std::vector<std::string> FieldsWithoutAPath(const FileDescriptor& file) {
  std::set<const FieldDescriptor*> reached;
  for (const Descriptor* root : Roots(file)) Mark(root, &reached);
  std::vector<std::string> outside;
  for (int i = 0; i < file.message_type_count(); ++i) {
    const Descriptor* type = file.message_type(i);
    for (int j = 0; j < type->field_count(); ++j)
      if (!reached.contains(type->field(j)))
        outside.push_back(type->name() + "." + type->field(j)->name());
  }
  return outside;
}

}  // namespace catamaran
