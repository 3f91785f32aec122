#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace catamaran {

// The daemon's one log: a line per event on standard error, "time level event key=value ...".
// Values are quoted where they must be, so a line is always one line. Never given to it:
// environments, arguments, annotations, credentials. Thread-safe. Libraries do not log; they
// return errors, and whoever answers a call or decides not to logs them here.

enum class LogLevel { kDebug, kInfo, kWarn, kError };

using LogField = std::pair<std::string_view, std::string>;

// `level` is one of debug, info, warn, error. Before it, info and above are logged.
void SetLogLevel(std::string_view level);
void Log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields = {});

// "key=value" with the value quoted and escaped where needed.
std::string FormatLogField(std::string_view key, std::string_view value);

}  // namespace catamaran
