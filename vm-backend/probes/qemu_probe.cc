#include "vm-backend/probes/qemu_probe.h"

#include <sys/socket.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "sandbox/base/files.h"
#include "sandbox/kernel/event_loop.h"
#include "vm-backend/host/qmp_client.h"
#include "vm-backend/host/vmm_process.h"
#include "vm-backend/templates/template_files.h"

namespace catamaran {
namespace {

constexpr char kDefaultQemu[] = "/usr/bin/qemu-system-x86_64";
constexpr size_t kMostWords = 4096;

struct Ends {
  UniqueFd ours, qemus;
};

Result<Ends> SocketPair() {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
    return FailWithErrno("socketpair");
  return Ends{UniqueFd(pair[0]), UniqueFd(pair[1])};
}

// "7.2.19" of query-version's answer, with the packager's word for it.
std::string VersionOf(const nlohmann::json& answer) {
  const auto text = [](const nlohmann::json& value) {
    return value.is_number_integer() ? std::to_string(value.get<int>()) : std::string("?");
  };
  const auto found = answer.find("qemu");
  if (found == answer.end() || !found->is_object()) return "?";
  const auto part = [&](const char* name) { return text(found->value(name, nlohmann::json())); };
  return part("major") + "." + part("minor") + "." + part("micro");
}

std::string WordsOf(const UniqueFd& console) {
  (void)SetNonBlocking(console.get());
  char buffer[kMostWords];
  const ssize_t count = read(console.get(), buffer, sizeof buffer);
  std::string words = count > 0 ? std::string(buffer, count) : "";
  while (!words.empty() && words.back() == '\n') words.pop_back();
  return words.empty() ? "nothing" : words;
}

}  // namespace

Result<std::string> TryQemu(const spec::MachineSpec& spec, Accelerator accelerator,
                            QemuMachine::Memory memory) {
  QemuMachine machine;
  machine.qemu = spec.qemu().empty() ? kDefaultQemu : spec.qemu();
  if (access(machine.qemu.c_str(), X_OK) != 0) return FailWithErrno("{}", machine.qemu);
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
  }
  ASSIGN_OR_RETURN(const auto loop, EventLoop::Create());
  ASSIGN_OR_RETURN(Ends monitor, SocketPair());
  ASSIGN_OR_RETURN(Ends console, SocketPair());
  ASSIGN_OR_RETURN(Ends agent, SocketPair());
  ASSIGN_OR_RETURN(Ends volumes, SocketPair());
  VmmCommand command;
  command.arguments = QemuArguments(machine);
  command.output = console.qemus.get();
  command.descriptors = {{kQemuMonitor, monitor.qemus.get()},
                         {kQemuConsole, console.qemus.get()},
                         {kQemuAgent, agent.qemus.get()},
                         {kQemuVolumes, volumes.qemus.get()}};
  if (file.memory.valid()) command.descriptors.push_back({kQemuMemory, file.memory.get()});
  ASSIGN_OR_RETURN(const auto process, VmmProcess::Start(*loop, command, [](ProcessEnd) {}));
  for (Ends* ends : {&monitor, &console, &agent, &volumes}) ends->qemus.Reset();
  ASSIGN_OR_RETURN(const auto client, QmpClient::Create(*loop, std::move(monitor.ours)));
  Result<nlohmann::json> version = Fail(ErrorCode::kInternal, "no answer");
  client->Execute("query-version", nlohmann::json::object(), [&](Result<nlohmann::json> answer) {
    version = std::move(answer);
    loop->Stop();
  });
  RETURN_IF_ERROR(loop->Run());
  if (!version)
    return Fail(ErrorCode::kFailedPrecondition, "{} does not start the machine, it says: {}",
                machine.qemu, WordsOf(console.ours));
  return fmt::format("{} {}", machine.qemu, VersionOf(*version));
}

}  // namespace catamaran
