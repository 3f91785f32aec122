#include "cri/service/log.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <ctime>
#include <nlohmann/json.hpp>

namespace catamaran {
namespace {

std::atomic<bool> as_json = false;

// A line comes whole, with its time and level: it may have either format.
spdlog::logger& Logger() {
  static const std::shared_ptr<spdlog::logger> logger = [] {
    auto made = std::make_shared<spdlog::logger>("catamaran",
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%v");
    return made;
  }();
  return *logger;
}

// Local, to the microsecond: "2026-11-29T13:30:00.123456+01:00".
std::string Now() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  tm local{};
  localtime_r(&now.tv_sec, &local);
  const long minutes = std::abs(local.tm_gmtoff) / 60;
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06}{}{:02}:{:02}", local, now.tv_nsec / 1000,
                     local.tm_gmtoff < 0 ? '-' : '+', minutes / 60, minutes % 60);
}

const char* NameOf(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarn:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "error";
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

void SetLogFormat(std::string_view format) { as_json = format == "json"; }

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

std::string FormatJsonLine(std::string_view time, std::string_view level, std::string_view event,
                           std::initializer_list<LogField> fields) {
  nlohmann::ordered_json line{{"time", time}, {"level", level}, {"event", event}};
  for (const LogField& field : fields) {
    if (field.second.empty()) continue;
    const std::string_view whole = field.second;
    line[std::string(field.first)] = whole.size() <= kLongestValue
                                         ? field.second
                                         : std::string(whole.substr(0, kLongestValue)) + "...";
  }
  return line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void Log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  if (!Logger().should_log(LevelOf(level))) return;
  std::string line;
  if (as_json) {
    line = FormatJsonLine(Now(), NameOf(level), event, fields);
  } else {
    line = fmt::format("{} {} {}", Now(), NameOf(level), event);
    for (const LogField& field : fields)
      if (!field.second.empty()) line += ' ' + FormatLogField(field.first, field.second);
  }
  Logger().log(LevelOf(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace catamaran
