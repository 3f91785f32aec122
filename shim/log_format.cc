#include "shim/log_format.h"

#include <cstdio>
#include <cstring>

namespace catamaran {
namespace {
constexpr size_t kSecondLength = 19;  // "2026-01-02T03:04:05"
}

// RFC 3339 in UTC with nine digits of nanoseconds: of one width, so that logs also sort as text.
void LogFormatter::Stamp(const timespec& now) {
  if (now.tv_sec != stamped_second_) {
    tm parts;
    gmtime_r(&now.tv_sec, &parts);
    char second[64];
    strftime(second, sizeof second, "%Y-%m-%dT%H:%M:%S", &parts);
    prefix_.assign(second, kSecondLength);
    prefix_ += ".000000000Z ";
    prefix_ += stream_;
    prefix_ += ' ';
    stamped_second_ = now.tv_sec;
  }
  long rest = now.tv_nsec;
  for (size_t digit = kSecondLength + 9; digit > kSecondLength; --digit) {
    prefix_[digit] = static_cast<char>('0' + rest % 10);
    rest /= 10;
  }
}

void LogFormatter::Record(char tag, std::string_view content, std::string& records) {
  records += prefix_;
  records += tag;
  records += ' ';
  records += content;
  records += '\n';
}

void LogFormatter::Append(std::string_view bytes, const timespec& now, std::string& records) {
  Stamp(now);
  while (!bytes.empty()) {
    const size_t newline = bytes.find('\n');
    const bool complete = newline != std::string_view::npos;
    std::string_view piece = bytes.substr(0, newline);
    bytes.remove_prefix(complete ? newline + 1 : bytes.size());
    // The usual line: it came whole and is short enough.
    if (complete && unfinished_.empty() && piece.size() <= kMaxLogContent) {
      if (!piece.empty() && piece.back() == '\r') piece.remove_suffix(1);
      Record('F', piece, records);
      continue;
    }
    // A full piece waits until something follows it: only then is it known not to be the last.
    while (unfinished_.size() + piece.size() > kMaxLogContent) {
      const size_t taken = kMaxLogContent - unfinished_.size();
      unfinished_ += piece.substr(0, taken);
      piece.remove_prefix(taken);
      Record('P', unfinished_, records);
      unfinished_.clear();
    }
    unfinished_ += piece;
    if (!complete) continue;
    if (!unfinished_.empty() && unfinished_.back() == '\r') unfinished_.pop_back();
    Record('F', unfinished_, records);
    unfinished_.clear();
  }
}

void LogFormatter::Finish(const timespec& now, std::string& records) {
  if (unfinished_.empty()) return;
  Stamp(now);
  Record('P', unfinished_, records);
  unfinished_.clear();
}

}  // namespace catamaran
