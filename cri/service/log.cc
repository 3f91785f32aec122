#include "cri/service/log.h"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>

namespace catamaran {
namespace {

spdlog::logger& Logger() {
  static const std::shared_ptr<spdlog::logger> logger = [] {
    auto made = std::make_shared<spdlog::logger>("catamaran",
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%f%z %l %v");
    return made;
  }();
  return *logger;
}

spdlog::level::level_enum LevelOf(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

// Enough for every message of ours; a stranger's id or path may be longer.
constexpr size_t kLongestValue = 1024;

bool IsPlain(char c) { return c > ' ' && c != '"' && c != '=' && c != '\\' && c != 0x7f; }

}  // namespace

void SetLogLevel(std::string_view level) {
  Logger().set_level(spdlog::level::from_str(std::string(level)));
}

std::string FormatLogField(std::string_view key, std::string_view whole) {
  const std::string_view value = whole.substr(0, kLongestValue);
  if (!value.empty() && value.size() == whole.size() &&
      std::all_of(value.begin(), value.end(), IsPlain)) {
    return fmt::format("{}={}", key, value);
  }
  std::string line = fmt::format("{}=\"", key);
  for (const char c : value) {
    if (c == '"' || c == '\\') {
      line += '\\';
      line += c;
    } else if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) {
      line += c == '\n' ? "\\n" : fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      line += c;
    }
  }
  return line + (value.size() < whole.size() ? "...\"" : "\"");
}

void Log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  if (!Logger().should_log(LevelOf(level))) return;
  std::string line(event);
  for (const LogField& field : fields) {
    if (field.second.empty()) continue;
    line += ' ';
    line += FormatLogField(field.first, field.second);
  }
  Logger().log(LevelOf(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace catamaran
