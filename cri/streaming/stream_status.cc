#include "cri/streaming/stream_status.h"

#include <nlohmann/json.hpp>

#include "cri/base/json.h"

namespace catamaran {
namespace {

constexpr int kFirstWithJson = 4;
constexpr size_t kLongestSize = 256;

std::string Dump(const nlohmann::json& status) {
  return status.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::optional<TerminalSize> Parse(std::string_view text) {
  const auto json = ParseJson(text, "resize");
  if (!json) return std::nullopt;
  const auto object = JsonObject::From(*json, "resize");
  if (!object) return std::nullopt;
  const auto columns = object->Size("Width");
  const auto rows = object->Size("Height");
  if (!columns || !rows || *columns == 0 || *rows == 0) return std::nullopt;
  if (*columns > UINT16_MAX || *rows > UINT16_MAX) return std::nullopt;
  return TerminalSize{static_cast<uint16_t>(*columns), static_cast<uint16_t>(*rows)};
}

}  // namespace

std::string StatusOfExit(int version, int exit_code) {
  const std::string message =
      fmt::format("command terminated with non-zero exit code: exit status {}", exit_code);
  if (version < kFirstWithJson) return exit_code == 0 ? "" : message;
  if (exit_code == 0) return Dump({{"metadata", nlohmann::json::object()}, {"status", "Success"}});
  return Dump({{"metadata", nlohmann::json::object()},
               {"status", "Failure"},
               {"message", message},
               {"reason", "NonZeroExitCode"},
               {"details",
                {{"causes", {{{"reason", "ExitCode"}, {"message", std::to_string(exit_code)}}}}}}});
}

std::string StatusOfError(int version, const Error& error) {
  const std::string message = "Internal error occurred: " + error.message;
  if (version < kFirstWithJson) return message;
  return Dump({{"metadata", nlohmann::json::object()},
               {"status", "Failure"},
               {"message", message},
               {"reason", "InternalError"},
               {"details", {{"causes", {{{"message", error.message}}}}}},
               {"code", 500}});
}

std::optional<TerminalSize> TerminalSizeReader::Read(std::string_view bytes) {
  std::optional<TerminalSize> last;
  for (const char c : bytes) {
    if (c == '{') object_.clear();
    if (object_.size() < kLongestSize) object_.push_back(c);
    if (c != '}') continue;
    if (const auto size = Parse(object_)) last = size;
    object_.clear();
  }
  return last;
}

}  // namespace catamaran
