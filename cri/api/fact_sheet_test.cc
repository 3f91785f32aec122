// The compiled descriptors against the fact sheet of CRI v0.37.2, both ways.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "cri/api/runtime.pb.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::ServiceDescriptor;

constexpr std::string_view kPackagePrefix = "runtime.v1.";

template <typename D>
std::string LocalName(const D* descriptor) {
  return descriptor->full_name().substr(kPackagePrefix.size());
}

std::string TypeName(const FieldDescriptor* field) {
  if (field->is_map()) {
    return "map<" + TypeName(field->message_type()->field(0)) + "," +
           TypeName(field->message_type()->field(1)) + ">";
  }
  switch (field->type()) {
    case FieldDescriptor::TYPE_MESSAGE:
      return LocalName(field->message_type());
    case FieldDescriptor::TYPE_ENUM:
      return field->enum_type()->name();
    default:
      return field->type_name();
  }
}

void Describe(const EnumDescriptor* type, std::vector<std::string>* lines) {
  for (int i = 0; i < type->value_count(); ++i) {
    lines->push_back("enum " + LocalName(type) + " " + type->value(i)->name() + " " +
                     std::to_string(type->value(i)->number()));
  }
}

void Describe(const Descriptor* type, std::vector<std::string>* lines) {
  if (type->options().map_entry()) return;
  const std::string prefix = "message " + LocalName(type) + " ";
  if (type->field_count() == 0) lines->push_back(prefix + "(empty)");
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    std::string line = prefix + std::to_string(field->number()) + " ";
    if (field->is_repeated() && !field->is_map()) line += "repeated ";
    if (field->real_containing_oneof() != nullptr) line += "oneof ";
    if (field->has_optional_keyword()) line += "optional ";
    line += TypeName(field) + " " + field->name();
    if (field->options().deprecated()) line += " deprecated";
    lines->push_back(line);
  }
  for (int i = 0; i < type->enum_type_count(); ++i) Describe(type->enum_type(i), lines);
  for (int i = 0; i < type->nested_type_count(); ++i) Describe(type->nested_type(i), lines);
}

void Describe(const ServiceDescriptor* service, std::vector<std::string>* lines) {
  for (int i = 0; i < service->method_count(); ++i) {
    const auto* method = service->method(i);
    lines->push_back(
        "rpc " + LocalName(service) + "." + method->name() + " " +
        (method->client_streaming() ? "stream " : "") + LocalName(method->input_type()) + " -> " +
        (method->server_streaming() ? "stream " : "") + LocalName(method->output_type()));
  }
}

std::vector<std::string> LinesOfDescriptors() {
  const FileDescriptor* file = runtime::v1::VersionRequest::descriptor()->file();
  std::vector<std::string> lines = {"package " + file->package()};
  for (int i = 0; i < file->service_count(); ++i) Describe(file->service(i), &lines);
  for (int i = 0; i < file->enum_type_count(); ++i) Describe(file->enum_type(i), &lines);
  for (int i = 0; i < file->message_type_count(); ++i) Describe(file->message_type(i), &lines);
  std::sort(lines.begin(), lines.end());
  return lines;
}

std::vector<std::string> LinesOfFactSheet() {
  auto content = ReadFile(FACT_SHEET);
  EXPECT_TRUE(content.has_value());
  std::istringstream stream(content.value_or(""));
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) {
    if (!line.empty()) lines.push_back(line);
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

std::vector<std::string> Missing(const std::vector<std::string>& from,
                                 const std::vector<std::string>& in) {
  std::vector<std::string> missing;
  std::set_difference(from.begin(), from.end(), in.begin(), in.end(), std::back_inserter(missing));
  return missing;
}

TEST(RuntimeProto, HasEveryFactOfTheSheet) {
  ASSERT_GT(LinesOfFactSheet().size(), 600u);
  EXPECT_EQ(Missing(LinesOfFactSheet(), LinesOfDescriptors()), std::vector<std::string>());
}

TEST(RuntimeProto, HasNothingThatTheSheetDoesNotName) {
  EXPECT_EQ(Missing(LinesOfDescriptors(), LinesOfFactSheet()), std::vector<std::string>());
}

}  // namespace
}  // namespace catamaran
