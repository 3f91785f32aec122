#include "cri/config/read_handlers.h"

#include <fmt/format.h>

#include <algorithm>

#include "sandbox/base/files.h"

namespace catamaran {
namespace {

constexpr uint64_t kMebibyte = 1 << 20;
constexpr uint32_t kLargestPool = 64;

// A RuntimeClass's handler is a DNS label: kubernetes.io/docs, RuntimeClass.
bool IsDnsLabel(std::string_view name) {
  if (name.empty() || name.size() > 63 || name.front() == '-' || name.back() == '-') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

HostPath GuestFolder(const ConfigPlaces& places) {
  const HostPath beside((places.program_directory.value() / "../guest").lexically_normal());
  for (const HostPath& folder : {beside, HostPath("/usr/share/catamaran/guest")})
    if (Exists((folder / "vmlinuz").value())) return folder;
  return HostPath(kGuestFolder);
}

spec::MachineSpec DefaultMachine(const ConfigPlaces& places) {
  const HostPath guest = GuestFolder(places);
  spec::MachineSpec machine;
  machine.set_kernel((guest / "vmlinuz").string());
  machine.set_initramfs((guest / "initramfs.img").string());
  machine.set_writable_disk((guest / "writable.img").string());
  machine.set_default_memory_bytes(256 * kMebibyte);
  machine.set_overhead_memory_bytes(64 * kMebibyte);
  machine.set_cpus(1);
  machine.set_use_template(true);
  machine.set_qemu("/usr/bin/qemu-system-x86_64");
  return machine;
}

Status ReadMemory(const YamlValue& value, uint64_t least, uint64_t* out) {
  RETURN_IF_ERROR(value.ReadSize(out));
  if (*out < least || *out > (uint64_t{1} << 42)) {
    return value.Wrong(fmt::format("a size from {}Mi to 4096Gi", least / kMebibyte));
  }
  return {};
}

Status ReadMachine(const YamlValue& value, HandlerConfig* handler) {
  spec::MachineSpec* machine = &handler->machine;
  uint32_t* pool = &handler->pool;
  const auto path_to = [](std::string* out) {
    return [out](const YamlValue& v) { return v.ReadAbsolutePath(out); };
  };
  RETURN_IF_ERROR(value.ReadMapping({
      {"kernel", path_to(machine->mutable_kernel())},
      {"initramfs", path_to(machine->mutable_initramfs())},
      {"command_line",
       [machine](const YamlValue& v) { return v.Read(machine->mutable_command_line()); }},
      {"writable_disk", path_to(machine->mutable_writable_disk())},
      {"default_memory",
       [machine](const YamlValue& v) -> Status {
         uint64_t bytes = 0;
         RETURN_IF_ERROR(ReadMemory(v, 64 * kMebibyte, &bytes));
         machine->set_default_memory_bytes(bytes);
         return {};
       }},
      {"overhead_memory",
       [machine](const YamlValue& v) -> Status {
         uint64_t bytes = 0;
         RETURN_IF_ERROR(ReadMemory(v, 0, &bytes));
         machine->set_overhead_memory_bytes(bytes);
         return {};
       }},
      {"cpus",
       [machine](const YamlValue& v) -> Status {
         uint32_t cpus = 0;
         RETURN_IF_ERROR(v.Read(&cpus, 1, 255));
         machine->set_cpus(cpus);
         return {};
       }},
      {"template",
       [machine](const YamlValue& v) -> Status {
         bool on = false;
         RETURN_IF_ERROR(v.Read(&on));
         machine->set_use_template(on);
         return {};
       }},
      {"pool", [pool](const YamlValue& v) { return v.Read(pool, 0, kLargestPool); }},
      {"qemu", path_to(machine->mutable_qemu())},
  }));
  if (handler->pool > 0 && !machine->use_template())
    return value.Wrong("without a pool where template is off: what waits there are its clones");
  return {};
}

}  // namespace

Status ReadHandler(const YamlValue& value, const ConfigPlaces& places, Config* config) {
  HandlerConfig handler;
  bool has_hull = false;
  bool has_machine = false;
  handler.machine = DefaultMachine(places);
  RETURN_IF_ERROR(value.ReadMapping({
      {"name",
       [&](const YamlValue& v) -> Status {
         RETURN_IF_ERROR(v.Read(&handler.name));
         if (!IsDnsLabel(handler.name)) {
           return v.Wrong("a DNS label: at most 63 of a-z, 0-9 and -, as in a RuntimeClass");
         }
         if (config->FindHandler(handler.name) != nullptr) return v.Wrong("a name of its own");
         return {};
       }},
      {"backend",
       [&](const YamlValue& v) -> Status {
         ASSIGN_OR_RETURN(auto index, (v.ReadWord({"ns", "vm"})));
         handler.hull = index == 0 ? HandlerConfig::Hull::kNamespaces : HandlerConfig::Hull::kVm;
         has_hull = true;
         return {};
       }},
      {"writable_layer_limit",
       [&](const YamlValue& v) { return ReadMemory(v, kMebibyte, &handler.writable_layer_limit); }},
      {"machine",
       [&](const YamlValue& v) {
         has_machine = true;
         return ReadMachine(v, &handler);
       }},
  }));
  if (handler.writable_layer_limit > 0 && handler.hull == HandlerConfig::Hull::kVm)
    return value.Wrong(
        "without a writable_layer_limit where the backend is vm: the size of its writable_disk is "
        "the limit of a pod");
  if (handler.name.empty()) return value.Wrong("a mapping with a name");
  if (!has_hull) return value.Wrong("a mapping with a backend: ns or vm");
  if (handler.hull == HandlerConfig::Hull::kNamespaces) {
    if (has_machine) return value.Wrong("without a machine where the backend is ns");
    handler.machine.Clear();
  }
  config->handlers.push_back(std::move(handler));
  return {};
}

// Plugins get them as one ':'-separated list.

void AddDefaultHandlers(const ConfigPlaces& places, Config* config) {
  config->handlers.push_back({"ns", HandlerConfig::Hull::kNamespaces, {}});
  config->handlers.push_back({"vm", HandlerConfig::Hull::kVm, DefaultMachine(places)});
}

}  // namespace catamaran
