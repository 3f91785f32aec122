#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace catamaran {

// The daemon's one log: a line per event on standard error, "time level event key=value ..." or an
// object of JSON with the keys time, level, event and the fields'. Values are quoted where they
// must be, so a line is always one line. What is about a pod or a container has the fields pod and
// container, with their ids. Never given to it: environments, arguments, annotations, credentials.
// Thread-safe. Libraries do not log; they return errors, and whoever answers a call or decides not
// to logs them here.

enum class LogLevel { kDebug, kInfo, kWarn, kError };

using LogField = std::pair<std::string_view, std::string>;

// `level` is one of debug, info, warn, error. Before it, info and above are logged.
void SetLogLevel(std::string_view level);
// `format` is text or json. Before it, lines are text.
void SetLogFormat(std::string_view format);
void Log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields = {});

// "key=value" with the value quoted and escaped where needed.
std::string FormatLogField(std::string_view key, std::string_view value);
// A line of JSON. Always UTF-8: what is none in a value becomes U+FFFD.
std::string FormatJsonLine(std::string_view time, std::string_view level, std::string_view event,
                           std::initializer_list<LogField> fields);

}  // namespace catamaran
