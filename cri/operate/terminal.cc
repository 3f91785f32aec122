#include "cri/operate/terminal.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace catamaran {
namespace {

void Write(const std::string& text) {
  for (size_t done = 0; done < text.size();) {
    const ssize_t count = write(STDOUT_FILENO, text.data() + done, text.size() - done);
    if (count <= 0) return;
    done += static_cast<size_t>(count);
  }
}

constexpr char kControlC = 3, kEndOfInput = 4;

}  // namespace

Terminal::Terminal() {
  tcgetattr(STDIN_FILENO, &before_);
  termios raw = before_;
  raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO | ISIG);
  raw.c_cc[VMIN] = 1;
  raw.c_cc[VTIME] = 0;
  tcsetattr(STDIN_FILENO, TCSANOW, &raw);
  Write("\x1b[?1049h\x1b[?25l");
}

Terminal::~Terminal() {
  Write("\x1b[?25h\x1b[?1049l");
  tcsetattr(STDIN_FILENO, TCSANOW, &before_);
}

bool Terminal::IsThere() { return isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1; }

Terminal::Size Terminal::SizeNow() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0)
    return {};
  return {size.ws_col, size.ws_row};
}

void Terminal::Draw(const std::string& text) {
  std::string screen = "\x1b[H";
  for (const char c : text) {
    if (c == '\n') screen += "\x1b[K\r";  // what is left of the line's old text
    screen += c;
  }
  Write(screen + "\x1b[J");
}

char Terminal::WaitForKey(std::chrono::milliseconds limit) {
  pollfd waiting{STDIN_FILENO, POLLIN, 0};
  if (poll(&waiting, 1, static_cast<int>(limit.count())) <= 0) return 0;
  char key = 0;
  if (read(STDIN_FILENO, &key, 1) != 1) return 'q';
  return key == kControlC || key == kEndOfInput ? 'q' : key;
}

}  // namespace catamaran
