#include "vm-backend/probes/qemu_probe.h"

#include <nlohmann/json.hpp>

#include "sandbox/kernel/event_loop.h"
#include "vm-backend/host/qemu_launch.h"
#include "vm-backend/host/qemu_vm.h"
#include "vm-backend/templates/template_files.h"

namespace catamaran {
namespace {

// "7.2.19" of query-version's answer.
std::string VersionOf(const nlohmann::json& answer) {
  const auto found = answer.find("qemu");
  if (found == answer.end() || !found->is_object()) return "?";
  std::string version;
  for (const char* name : {"major", "minor", "micro"}) {
    const auto part = found->find(name);
    const bool number = part != found->end() && part->is_number_unsigned();
    version += (version.empty() ? "" : ".") + (number ? part->dump() : std::string("?"));
  }
  return version;
}

Result<std::string> AskVersion(EventLoop& loop, QemuVm& vm) {
  Result<std::string> version = Fail(ErrorCode::kInternal, "no answer");
  const auto answered = [&](Result<nlohmann::json> answer) {
    if (answer) {
      version = VersionOf(*answer);
    } else {
      version = tl::unexpected(std::move(answer).error());
    }
    loop.Stop();
  };
  vm.monitor().Execute("query-version", nlohmann::json::object(), answered);
  RETURN_IF_ERROR(loop.Run());
  return version;
}

}  // namespace

Result<std::string> TryQemu(const spec::MachineSpec& spec, Accelerator accelerator,
                            QemuMachine::Memory memory) {
  QemuStart start;
  QemuMachine& machine = start.machine;
  ASSIGN_OR_RETURN(machine.qemu, QemuProgram(spec));
  machine.accelerator = accelerator;
  machine.cpus = spec.cpus();
  machine.memory_bytes =
      GuestMemoryBytes(0, spec.default_memory_bytes(), spec.overhead_memory_bytes());
  machine.boot = QemuMachine::Boot::kIncoming;
  machine.memory = memory;
  Template file;
  if (memory == QemuMachine::Memory::kTemplateClone) {
    ASSIGN_OR_RETURN(file.memory, MakeTemplateFile("probe-memory", machine.memory_bytes));
    ASSIGN_OR_RETURN(file.state, MakeTemplateFile("probe-state", 1));
    RETURN_IF_ERROR(SealTemplate(file));
    start.memory = file.memory.get();
  }
  ASSIGN_OR_RETURN(const auto loop, EventLoop::Create());
  ASSIGN_OR_RETURN(const auto vm, QemuVm::Start(*loop, start));
  const auto version = AskVersion(*loop, *vm);
  if (version) return machine.qemu + " " + *version;
  const std::string said = vm->ConsoleTail();
  return Fail(ErrorCode::kFailedPrecondition, "{} does not start the machine: {}", machine.qemu,
              said.empty() ? version.error().message : said);
}

}  // namespace catamaran
