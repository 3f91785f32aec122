#pragma once

#include <termios.h>

#include <chrono>
#include <cstddef>
#include <string>

namespace catamaran {

// A terminal that a command draws on: another screen without a cursor, keys as they are pressed.
// All is as before once it is destroyed. Ctrl-C is a key here.
class Terminal {
 public:
  Terminal();
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  // Standard input and output are a terminal.
  static bool IsThere();
  struct Size {
    size_t width = 80, height = 24;
  };
  static Size SizeNow();

  void Draw(const std::string& text);
  // The key that is pressed within this time; 0: none. Ends of input and Ctrl-C are 'q'.
  char WaitForKey(std::chrono::milliseconds limit);

 private:
  termios before_{};
};

}  // namespace catamaran
