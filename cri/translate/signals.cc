#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>

#include "cri/translate/fields.h"
#include "cri/translate/translate.h"

namespace catamaran {
namespace {

using runtime::v1::Signal;

// Kernel numbers: 32 and 33 belong to the C library, so SIGRTMIN is 34 everywhere.
constexpr int kRealtimeMin = 34;
constexpr int kRealtimeMax = 64;
constexpr int kRealtimeHalf = 15;  // SIGRTMIN+15 is the last counted from below

struct NamedSignal {
  std::string_view name;  // without "SIG"
  int number;
  Signal cri;
};

// Aliases come after the name that a number is shown by.
constexpr std::array kSignals = {
    NamedSignal{"ABRT", SIGABRT, runtime::v1::SIGNAL_SIGABRT},
    NamedSignal{"ALRM", SIGALRM, runtime::v1::SIGNAL_SIGALRM},
    NamedSignal{"BUS", SIGBUS, runtime::v1::SIGNAL_SIGBUS},
    NamedSignal{"CHLD", SIGCHLD, runtime::v1::SIGNAL_SIGCHLD},
    NamedSignal{"CLD", SIGCHLD, runtime::v1::SIGNAL_SIGCLD},
    NamedSignal{"CONT", SIGCONT, runtime::v1::SIGNAL_SIGCONT},
    NamedSignal{"FPE", SIGFPE, runtime::v1::SIGNAL_SIGFPE},
    NamedSignal{"HUP", SIGHUP, runtime::v1::SIGNAL_SIGHUP},
    NamedSignal{"ILL", SIGILL, runtime::v1::SIGNAL_SIGILL},
    NamedSignal{"INT", SIGINT, runtime::v1::SIGNAL_SIGINT},
    NamedSignal{"IO", SIGIO, runtime::v1::SIGNAL_SIGIO},
    NamedSignal{"IOT", SIGABRT, runtime::v1::SIGNAL_SIGIOT},
    NamedSignal{"KILL", SIGKILL, runtime::v1::SIGNAL_SIGKILL},
    NamedSignal{"PIPE", SIGPIPE, runtime::v1::SIGNAL_SIGPIPE},
    NamedSignal{"POLL", SIGIO, runtime::v1::SIGNAL_SIGPOLL},
    NamedSignal{"PROF", SIGPROF, runtime::v1::SIGNAL_SIGPROF},
    NamedSignal{"PWR", SIGPWR, runtime::v1::SIGNAL_SIGPWR},
    NamedSignal{"QUIT", SIGQUIT, runtime::v1::SIGNAL_SIGQUIT},
    NamedSignal{"SEGV", SIGSEGV, runtime::v1::SIGNAL_SIGSEGV},
    NamedSignal{"STKFLT", SIGSTKFLT, runtime::v1::SIGNAL_SIGSTKFLT},
    NamedSignal{"STOP", SIGSTOP, runtime::v1::SIGNAL_SIGSTOP},
    NamedSignal{"SYS", SIGSYS, runtime::v1::SIGNAL_SIGSYS},
    NamedSignal{"TERM", SIGTERM, runtime::v1::SIGNAL_SIGTERM},
    NamedSignal{"TRAP", SIGTRAP, runtime::v1::SIGNAL_SIGTRAP},
    NamedSignal{"TSTP", SIGTSTP, runtime::v1::SIGNAL_SIGTSTP},
    NamedSignal{"TTIN", SIGTTIN, runtime::v1::SIGNAL_SIGTTIN},
    NamedSignal{"TTOU", SIGTTOU, runtime::v1::SIGNAL_SIGTTOU},
    NamedSignal{"URG", SIGURG, runtime::v1::SIGNAL_SIGURG},
    NamedSignal{"USR1", SIGUSR1, runtime::v1::SIGNAL_SIGUSR1},
    NamedSignal{"USR2", SIGUSR2, runtime::v1::SIGNAL_SIGUSR2},
    NamedSignal{"VTALRM", SIGVTALRM, runtime::v1::SIGNAL_SIGVTALRM},
    NamedSignal{"WINCH", SIGWINCH, runtime::v1::SIGNAL_SIGWINCH},
    NamedSignal{"XCPU", SIGXCPU, runtime::v1::SIGNAL_SIGXCPU},
    NamedSignal{"XFSZ", SIGXFSZ, runtime::v1::SIGNAL_SIGXFSZ},
};

bool ParseNumber(std::string_view text, int* out) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return error == std::errc() && end == text.data() + text.size();
}

// "RTMIN", "RTMIN+3", "RTMAX-2": 0 where it is none of these.
int RealtimeNumber(std::string_view name) {
  int offset = 0;
  if (name == "RTMIN") return kRealtimeMin;
  if (name == "RTMAX") return kRealtimeMax;
  if (name.starts_with("RTMIN+") && ParseNumber(name.substr(6), &offset) && offset >= 0 &&
      offset <= kRealtimeMax - kRealtimeMin) {
    return kRealtimeMin + offset;
  }
  if (name.starts_with("RTMAX-") && ParseNumber(name.substr(6), &offset) && offset >= 0 &&
      offset <= kRealtimeMax - kRealtimeMin) {
    return kRealtimeMax - offset;
  }
  return 0;
}

}  // namespace

Result<int> SignalNumber(Signal signal) {
  using namespace runtime::v1;  // NOLINT: sixty names of one enum
  if (signal >= SIGNAL_SIGRTMIN && signal <= SIGNAL_SIGRTMINPLUS15) {
    return kRealtimeMin + (signal - SIGNAL_SIGRTMIN);
  }
  if (signal >= SIGNAL_SIGRTMAXMINUS14 && signal <= SIGNAL_SIGRTMAX) {
    return kRealtimeMax - (SIGNAL_SIGRTMAX - signal);
  }
  for (const NamedSignal& known : kSignals) {
    if (known.cri == signal) return known.number;
  }
  return WrongField("stop_signal", static_cast<int64_t>(signal), "a value of the enum Signal");
}

Signal CriSignal(int number) {
  using namespace runtime::v1;  // NOLINT: sixty names of one enum
  if (number >= kRealtimeMin && number <= kRealtimeMin + kRealtimeHalf) {
    return static_cast<Signal>(SIGNAL_SIGRTMIN + (number - kRealtimeMin));
  }
  if (number > kRealtimeMin + kRealtimeHalf && number <= kRealtimeMax) {
    return static_cast<Signal>(SIGNAL_SIGRTMAX - (kRealtimeMax - number));
  }
  for (const NamedSignal& known : kSignals) {
    if (known.number == number) return known.cri;
  }
  return SIGNAL_RUNTIME_DEFAULT;
}

Result<int> SignalNumber(const std::string& name) {
  int number = 0;
  if (ParseNumber(name, &number)) {
    if (number >= 1 && number <= kRealtimeMax) return number;
    return WrongField("stop_signal", name, "a signal's number, from 1 to 64");
  }
  std::string word = name;
  std::transform(word.begin(), word.end(), word.begin(),
                 [](unsigned char c) { return static_cast<char>(toupper(c)); });
  if (word.starts_with("SIG")) word = word.substr(3);
  if (const int realtime = RealtimeNumber(word); realtime != 0) return realtime;
  for (const NamedSignal& known : kSignals) {
    if (known.name == word) return known.number;
  }
  return WrongField("stop_signal", name,
                    "a signal's name or number: SIGTERM, TERM, 15, SIGRTMIN+3");
}

}  // namespace catamaran
