#pragma once

#include <signal.h>

#include <string>
#include <vector>

#include "e2e/harness/pod_test.h"
#include "sandbox/base/files.h"

namespace catamaran::e2e {

// A scenario that changes the running daemon's configuration, which is put back at its end.
class Operate : public PodTest {
 protected:
  void TearDown() override {
    if (config_changed_) {
      EXPECT_TRUE(WriteConfig(ConfigText(world().paths())));
      EXPECT_EQ(Command({"config", "reload"}).exit_code, 0);
    }
    PodTest::TearDown();
  }

  ProgramResult Command(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), ProgramFolder() + "/catamaran");
    arguments.push_back("--config");
    arguments.push_back(world().config_file());
    return RunProgram(arguments);
  }
  Status WriteConfig(const std::string& text) {
    config_changed_ = true;
    return ReplaceFile(world().config_file(), text, 0600, Durability::kProcessCrash);
  }
  // This run's configuration with one text in the place of another.
  void Configure(const std::string& old_text, const std::string& new_text) {
    std::string text = ConfigText(world().paths());
    const size_t at = text.find(old_text);
    ASSERT_NE(at, std::string::npos) << old_text;
    ASSERT_TRUE(WriteConfig(text.replace(at, old_text.size(), new_text)));
  }
  std::string DaemonLog() { return ReadFile(world().daemon().log_file()).value_or(""); }
  // Sends SIGHUP and waits for what the daemon then logs.
  void Hangup(const std::string& logged) {
    const size_t before = DaemonLog().size();
    ASSERT_EQ(kill(world().daemon().pid(), SIGHUP), 0);
    EXPECT_TRUE(WaitUntil([&] { return DaemonLog().find(logged, before) != std::string::npos; }))
        << logged << " is not in\n"
        << DaemonLog().substr(before);
  }
  static void ExpectHas(const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << "no \"" << part << "\" in\n" << text;
  }

 private:
  bool config_changed_ = false;
};

}  // namespace catamaran::e2e
