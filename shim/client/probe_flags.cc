#include "shim/client/probe_flags.h"

#include <charconv>
#include <map>

namespace catamaran {
namespace {

constexpr std::pair<std::string_view, ProbeFlags::Of> kParts[] = {
    {"host", ProbeFlags::Of::kHost},
    {"ns", ProbeFlags::Of::kNamespaces},
    {"vm", ProbeFlags::Of::kVm}};

Status ReadNumber(const std::string& flag, const std::string& text, uint64_t* out) {
  const char* end = text.data() + text.size();
  if (auto read = std::from_chars(text.data(), end, *out);
      read.ec != std::errc() || read.ptr != end)
    return Fail(ErrorCode::kInvalidArgument, "{} {}: a number is due", flag, text);
  return {};
}

Status ReadPart(const std::string& text, ProbeFlags::Of* out) {
  for (const auto& [name, part] : kParts) {
    if (name != text) continue;
    *out = part;
    return {};
  }
  return Fail(ErrorCode::kInvalidArgument, "--of {}: it is host, ns or vm", text);
}

}  // namespace

std::vector<std::string> ProbeFlags::ToArguments() const {
  std::vector<std::string> arguments;
  const auto add = [&](const char* flag, const std::string& value) {
    if (!value.empty()) arguments.insert(arguments.end(), {flag, value});
  };
  for (const auto& [name, part] : kParts)
    if (part == of) add("--of", std::string(name));
  add("--patience", std::to_string(patience_seconds));
  add("--cgroup", cgroup);
  add("--scratch", scratch);
  if (of != Of::kVm) return arguments;
  add("--kernel", machine.kernel());
  add("--initramfs", machine.initramfs());
  add("--writable-disk", machine.writable_disk());
  add("--qemu", machine.qemu());
  add("--default-memory", std::to_string(machine.default_memory_bytes()));
  add("--overhead-memory", std::to_string(machine.overhead_memory_bytes()));
  add("--cpus", std::to_string(machine.cpus()));
  add("--allow-emulation", machine.allow_emulation() ? "1" : "0");
  add("--template", machine.use_template() ? "1" : "0");
  return arguments;
}

Result<ProbeFlags> ProbeFlags::Parse(const std::vector<std::string>& arguments) {
  ProbeFlags flags;
  spec::MachineSpec& machine = flags.machine;
  uint64_t default_memory = 0, overhead_memory = 0, cpus = 1, allow_emulation = 0, use_template = 0;
  const std::map<std::string, std::string*> texts = {
      {"--cgroup", &flags.cgroup},
      {"--scratch", &flags.scratch},
      {"--kernel", machine.mutable_kernel()},
      {"--initramfs", machine.mutable_initramfs()},
      {"--writable-disk", machine.mutable_writable_disk()},
      {"--qemu", machine.mutable_qemu()}};
  const std::map<std::string, uint64_t*> numbers = {
      {"--patience", &flags.patience_seconds}, {"--default-memory", &default_memory},
      {"--overhead-memory", &overhead_memory}, {"--cpus", &cpus},
      {"--allow-emulation", &allow_emulation}, {"--template", &use_template}};
  bool has_part = false;
  for (size_t i = 0; i < arguments.size(); i += 2) {
    const std::string& flag = arguments[i];
    if (i + 1 == arguments.size())
      return Fail(ErrorCode::kInvalidArgument, "{}: a value is due", flag);
    const std::string& value = arguments[i + 1];
    if (flag == "--of") {
      RETURN_IF_ERROR(ReadPart(value, &flags.of));
      has_part = true;
    } else if (const auto text = texts.find(flag); text != texts.end()) {
      *text->second = value;
    } else if (const auto number = numbers.find(flag); number != numbers.end()) {
      RETURN_IF_ERROR(ReadNumber(flag, value, number->second));
    } else {
      return Fail(ErrorCode::kInvalidArgument, "unknown flag {}", flag);
    }
  }
  if (!has_part) return Fail(ErrorCode::kInvalidArgument, "--of is due: host, ns or vm");
  if (flags.of == Of::kHost && flags.cgroup.empty())
    return Fail(ErrorCode::kInvalidArgument, "--cgroup is due with --of host");
  if (flags.of == Of::kNamespaces && flags.scratch.empty())
    return Fail(ErrorCode::kInvalidArgument, "--scratch is due with --of ns");
  machine.set_default_memory_bytes(default_memory);
  machine.set_overhead_memory_bytes(overhead_memory);
  machine.set_cpus(static_cast<uint32_t>(cpus));
  machine.set_allow_emulation(allow_emulation != 0);
  machine.set_use_template(use_template != 0);
  return flags;
}

}  // namespace catamaran
