// A CNI plugin for tests: writes down every call, and fails where it is told to. Its configuration
// names a folder:
//   calls           one JSON object a line: "command", CNI_* of the environment, "config"
//   plan.<COMMAND>  what the next calls do, a line each, used up (a line that begins with "always "
//                   stays): "ok", "error CODE MESSAGE", "garbage", "silent", "endless", "hang"
//                   (with a child that hangs too), "die", "stop", "wait FILE" (until there is one)
//   pids            processes that hang
// With "link": true an ADD makes the pod's interface, and a DEL takes it away.
// An ADD answers with the result of the plugin before it, or with "result" of its configuration.
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "sandbox/base/files.h"
#include "sandbox/kernel/netlink.h"

namespace {

using nlohmann::json;

std::string Variable(const char* name) {
  const char* value = getenv(name);
  return value != nullptr ? value : "";
}

void AppendLine(const std::string& file, const std::string& line) {
  const int fd = open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  const std::string text = line + "\n";
  if (write(fd, text.data(), text.size()) < 0) exit(90);
  close(fd);
}

std::string TakeStep(const std::string& folder, const std::string& command) {
  const int lock = open((folder + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  flock(lock, LOCK_EX);
  const std::string file = folder + "/plan." + command;
  std::ifstream plan(file);
  std::string step;
  std::getline(plan, step);
  const std::string rest((std::istreambuf_iterator<char>(plan)), {});
  if (step.starts_with("always "))
    step = step.substr(7);
  else if (!step.empty())
    std::ofstream(file) << rest;
  close(lock);
  return step;
}

[[noreturn]] void Hang(const std::string& folder) {
  if (fork() < 0) exit(92);
  AppendLine(folder + "/pids", std::to_string(getpid()));
  while (true) pause();
}

int Fail(const json& config, int code, const std::string& message) {
  std::cout << json({{"cniVersion", config.value("cniVersion", "1.0.0")},
                     {"code", code},
                     {"msg", message},
                     {"details", "as the plan says"}})
                   .dump();
  return 1;
}

// A veth pair inside the pod's namespace.
void ChangeLink(const std::string& command) {
  const auto netns = catamaran::OpenFile(Variable("CNI_NETNS"), O_RDONLY);
  if (!netns) return;
  auto netlink = catamaran::Netlink::OpenIn(netns->get());
  const std::string name = Variable("CNI_IFNAME");
  const auto done = command == "ADD" ? netlink->AddVethPair({.name = name, .peer_name = "other"})
                                     : netlink->DeleteLink(name);
  if (!done) exit(93);
}

int Answer(const std::string& command, const json& config) {
  if (command == "VERSION") {
    std::cout << R"({"cniVersion":"1.1.0","supportedVersions":["0.3.1","0.4.0","1.0.0","1.1.0"]})";
  } else if (command == "ADD") {
    json result = config.contains("prevResult") ? config["prevResult"]
                                                : config.value("result", json::object());
    result["cniVersion"] = config.value("cniVersion", "");
    std::cout << result.dump();
  }
  return 0;
}

}  // namespace

int main() {
  const std::string text((std::istreambuf_iterator<char>(std::cin)), {});
  const json config = json::parse(text, nullptr, false);
  if (config.is_discarded() || !config.is_object()) return 91;
  const std::string command = Variable("CNI_COMMAND");
  if (command == "VERSION") return Answer(command, config);
  const std::string folder = config.value("folder", "");
  AppendLine(folder + "/calls", json({{"command", command},
                                      {"container", Variable("CNI_CONTAINERID")},
                                      {"netns", Variable("CNI_NETNS")},
                                      {"interface", Variable("CNI_IFNAME")},
                                      {"args", Variable("CNI_ARGS")},
                                      {"path", Variable("CNI_PATH")},
                                      {"config", config}})
                                    .dump());
  std::istringstream step(TakeStep(folder, command));
  std::string verb;
  step >> verb;
  if (verb == "error") {
    int code = 0;
    std::string message;
    step >> code;
    std::getline(step >> std::ws, message);
    return Fail(config, code, message);
  }
  if (verb == "garbage") {
    std::cout << "Segmentation \x01 fault {";
    std::cerr << "said on stderr";
    return 0;
  }
  if (verb == "silent") {
    std::cerr << "only on stderr";
    return 1;
  }
  while (verb == "endless") std::cout << std::string(65536, 'x');
  if (verb == "hang") Hang(folder);
  if (verb == "die") raise(SIGKILL);
  if (verb == "stop") raise(SIGSTOP);
  if (verb == "wait") {
    std::string file;
    step >> file;
    while (access(file.c_str(), F_OK) != 0) usleep(2000);
  }
  if (config.value("link", false) && (command == "ADD" || command == "DEL")) ChangeLink(command);
  return Answer(command, config);
}
