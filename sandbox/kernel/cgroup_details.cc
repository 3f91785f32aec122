#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <climits>

#include "sandbox/base/files.h"
#include "sandbox/kernel/cgroup.h"
#include "sandbox/kernel/cgroup_files.h"

// What of a group's files is text to be taken apart: pressure, devices, huge pages.
namespace catamaran {
namespace {

// A node may have hundreds of disks; what one group uses are few.
constexpr int kMostDevices = 64;
constexpr int kMostPageSizes = 16;

std::string_view NextLine(std::string_view& text) {
  const auto line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(text.size(), line.size() + 1));
  return line;
}

std::string_view NextWord(std::string_view& line) {
  line.remove_prefix(std::min(line.size(), line.find_first_not_of(' ')));
  const auto word = line.substr(0, line.find(' '));
  line.remove_prefix(word.size());
  return word;
}

template <typename Number>
bool Parse(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

// "avg10=0.12", "total=345".
bool SetShareField(std::string_view word, spec::PressureShare& share) {
  const size_t equals = word.find('=');
  if (equals == std::string_view::npos) return false;
  const auto key = word.substr(0, equals);
  const auto value = word.substr(equals + 1);
  if (key == "total") {
    uint64_t total = 0;
    if (!Parse(value, total)) return false;
    share.set_total_us(total);
    return true;
  }
  double average = 0;
  if (!Parse(value, average)) return false;
  if (key == "avg10") share.set_average_10s(average);
  if (key == "avg60") share.set_average_60s(average);
  if (key == "avg300") share.set_average_300s(average);
  return true;
}

// The entry of "254:0", which is made where it is missing; null for other text.
spec::IoStats::Device* DeviceOf(std::string_view numbers, spec::IoStats& io) {
  const size_t colon = numbers.find(':');
  uint32_t major_number = 0, minor_number = 0;
  if (colon == std::string_view::npos || !Parse(numbers.substr(0, colon), major_number) ||
      !Parse(numbers.substr(colon + 1), minor_number))
    return nullptr;
  for (auto& device : *io.mutable_devices())
    if (device.major() == major_number && device.minor() == minor_number) return &device;
  if (io.devices_size() >= kMostDevices) return nullptr;
  auto* device = io.add_devices();
  device->set_major(major_number);
  device->set_minor(minor_number);
  return device;
}

// The kernel's name of a block device: where the link in /sys/dev/block ends.
std::string NameOfDevice(uint32_t major_number, uint32_t minor_number) {
  const auto numbers = fmt::format("{}:{}", major_number, minor_number);
  char target[PATH_MAX];
  const ssize_t length = readlink(("/sys/dev/block/" + numbers).c_str(), target, sizeof target);
  if (length <= 0) return numbers;
  const std::string_view path(target, static_cast<size_t>(length));
  return "/dev/" + std::string(path.substr(path.rfind('/') + 1));
}

// Names of the files "hugetlb.<size>.<suffix>" in the group, sorted.
std::vector<std::string> PageSizes(int directory, std::string_view suffix) {
  std::vector<std::string> sizes;
  auto names = ListDirectory(fmt::format("/proc/self/fd/{}", directory));
  if (!names) return sizes;
  constexpr std::string_view kPrefix = "hugetlb.";
  for (const std::string& name : *names) {
    if (!name.starts_with(kPrefix) || !name.ends_with(suffix)) continue;
    const auto size = name.substr(kPrefix.size(), name.size() - kPrefix.size() - suffix.size());
    if (size.find('.') == std::string::npos && sizes.size() < kMostPageSizes)
      sizes.push_back(size);  // not "2MB.rsvd"
  }
  return sizes;
}

void ReadHugepages(const CgroupSource& group, bool v2, spec::GroupStats& stats) {
  for (const auto& size : PageSizes(group.directory, v2 ? ".current" : ".usage_in_bytes")) {
    auto* entry = stats.add_hugepages();
    entry->set_page_size(size);
    const auto file = [&](const char* suffix) {
      return fmt::format("hugetlb.{}.{}", size, suffix);
    };
    entry->set_usage_bytes(group.NumberOr0(file(v2 ? "current" : "usage_in_bytes").c_str()));
    if (!v2) entry->set_max_usage_bytes(group.NumberOr0(file("max_usage_in_bytes").c_str()));
  }
}

}  // namespace

std::optional<spec::Pressure> ParsePressure(const std::string& text) {
  spec::Pressure pressure;
  std::string_view rest = text;
  while (!rest.empty()) {
    auto line = NextLine(rest);
    const auto kind = NextWord(line);
    if (kind != "some" && kind != "full") return std::nullopt;
    auto& share = kind == "some" ? *pressure.mutable_some() : *pressure.mutable_full();
    for (auto word = NextWord(line); !word.empty(); word = NextWord(line))
      if (!SetShareField(word, share)) return std::nullopt;
  }
  if (!pressure.has_some()) return std::nullopt;
  return pressure;
}

// "254:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0" (cgroup-v2.rst, "IO Interface Files").
void ParseIoStat(std::string_view text, spec::IoStats& io) {
  while (!text.empty()) {
    auto line = NextLine(text);
    auto* device = DeviceOf(NextWord(line), io);
    if (device == nullptr) continue;
    for (auto word = NextWord(line); !word.empty(); word = NextWord(line)) {
      const size_t equals = std::min(word.find('='), word.size() - 1);
      const auto key = word.substr(0, equals);
      uint64_t value = 0;
      if (!Parse(word.substr(equals + 1), value)) continue;
      if (key == "rbytes") device->set_read_bytes(value);
      if (key == "wbytes") device->set_written_bytes(value);
      if (key == "rios") device->set_reads(value);
      if (key == "wios") device->set_writes(value);
    }
  }
}

// "254:0 Read 4096"; other operations and the total are left out (cgroup-v1/blkio-controller.rst).
void ParseThrottleFile(std::string_view text, IoQuantity quantity, spec::IoStats& io) {
  while (!text.empty()) {
    auto line = NextLine(text);
    const auto numbers = NextWord(line);
    const auto operation = NextWord(line);
    uint64_t value = 0;
    if (!Parse(NextWord(line), value) || (operation != "Read" && operation != "Write")) continue;
    auto* device = DeviceOf(numbers, io);
    if (device == nullptr) continue;
    const bool read = operation == "Read";
    if (quantity == IoQuantity::kBytes)
      read ? device->set_read_bytes(value) : device->set_written_bytes(value);
    else
      read ? device->set_reads(value) : device->set_writes(value);
  }
}

void Cgroup::AddDetails(spec::GroupStats& stats) const {
  const auto is_v2 = [this](int directory) {
    return Unified() != nullptr && Unified()->fd.get() == directory;
  };
  if (const CgroupSource memory{stat_files_, DirectoryOf("memory")}; memory.directory >= 0) {
    auto& out = *stats.mutable_memory();
    if (is_v2(memory.directory)) {
      out.set_reservation_bytes(memory.LimitOr0("memory.low"));
    } else {
      out.set_reservation_bytes(memory.LimitOr0("memory.soft_limit_in_bytes"));
      // Memory and swap together are charged first: where both limits are one, only theirs is hit.
      out.set_limit_hits(memory.NumberOr0("memory.failcnt") +
                         memory.NumberOr0("memory.memsw.failcnt"));
      out.set_kernel_bytes(memory.NumberOr0("memory.kmem.usage_in_bytes"));
    }
  }
  // These texts have no bound but the number of disks, so they are not read through stat_files_.
  const auto whole = [](int directory, const char* file) {
    return ReadCgroupFile(directory, file).value_or("");
  };
  auto& io = *stats.mutable_io();
  if (const int v1 = DirectoryOf("blkio"); v1 >= 0) {
    ParseThrottleFile(whole(v1, "blkio.throttle.io_service_bytes_recursive"), IoQuantity::kBytes,
                      io);
    ParseThrottleFile(whole(v1, "blkio.throttle.io_serviced_recursive"), IoQuantity::kOperations,
                      io);
  } else if (const int v2 = DirectoryOf("io"); v2 >= 0) {
    ParseIoStat(whole(v2, "io.stat"), io);
  }
  for (auto& device : *io.mutable_devices())
    device.set_name(NameOfDevice(device.major(), device.minor()));
  if (const int directory = DirectoryOf("hugetlb"); directory >= 0)
    ReadHugepages({stat_files_, directory}, is_v2(directory), stats);
}

}  // namespace catamaran
