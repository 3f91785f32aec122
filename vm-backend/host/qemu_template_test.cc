// Which machines may be clones of one template: those that are equal in all that a guest can see.
#include "vm-backend/host/qemu_template.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "vm-backend/templates/template_keeper.h"

namespace catamaran {
namespace {

class TemplateOfAMachine : public testing::Test {
 protected:
  TemplateOfAMachine() {
    std::string pattern = std::filesystem::temp_directory_path() / "qemu_template_XXXXXX";
    folder_ = mkdtemp(pattern.data());
    machine_.qemu = Write("qemu", "q").string();
    machine_.kernel = Write("kernel", "k");
    machine_.initramfs = Write("initramfs", "i");
    machine_.command_line = "console=ttyS0";
    machine_.memory_bytes = 256 << 20;
  }
  ~TemplateOfAMachine() override { std::filesystem::remove_all(folder_); }

  HostPath Write(const std::string& name, const std::string& content) {
    std::ofstream(folder_ / name) << content;
    return HostPath(folder_ / name);
  }
  std::string Key() const { return TemplateKey(TemplateRequestFor(machine_)); }

  std::filesystem::path folder_;
  QemuMachine machine_;
};

TEST_F(TemplateOfAMachine, IsTheSameForPodsThatDifferInTheirNetworkOnly) {
  const std::string key = Key();
  machine_.network = true;
  machine_.mac = "02:00:00:00:00:07";
  EXPECT_EQ(Key(), key);
}

TEST_F(TemplateOfAMachine, IsAnotherForEveryPartThatAHandlerCanName) {
  const QemuMachine plain = machine_;
  const std::string key = Key();
  // The same content under another name is another file: it may change on its own.
  const std::pair<const char*, std::function<void()>> parts[] = {
      {"kernel", [&] { machine_.kernel = Write("kernel-2", "k"); }},
      {"initramfs", [&] { machine_.initramfs = Write("initramfs-2", "i"); }},
      {"command line", [&] { machine_.command_line += " quiet"; }},
      {"memory", [&] { machine_.memory_bytes *= 2; }},
      {"cpus", [&] { machine_.cpus = 2; }},
      {"qemu", [&] { machine_.qemu = Write("qemu-2", "q").string(); }},
      {"accelerator", [&] { machine_.accelerator = Accelerator::kKvm; }},
  };
  for (const auto& [part, change] : parts) {
    machine_ = plain;
    change();
    EXPECT_NE(Key(), key) << part;
  }
}

TEST_F(TemplateOfAMachine, IsAnotherOnceAFileIsReplacedUnderItsName) {
  const std::string key = Key();
  Write("new", "another kernel");
  std::filesystem::rename(folder_ / "new", folder_ / "kernel");
  const std::string later = Key();
  EXPECT_NE(later, key);
  Write("initramfs", "longer");
  EXPECT_NE(Key(), later);
}

}  // namespace
}  // namespace catamaran
