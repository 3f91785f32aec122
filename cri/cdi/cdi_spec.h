#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// One file of the Container Device Interface (github.com/cncf-tags/container-device-interface,
// SPEC.md, versions 0.3.0 to 1.1.0): what a container needs to use a vendor's devices.

// What is changed in a container's spec, in the engine's words.
struct CdiEdits {
  std::vector<std::string> env;  // KEY=VALUE
  std::vector<spec::Device> devices;
  std::vector<spec::Mount> mounts;
  spec::Hooks hooks;
  std::vector<uint32_t> additional_gids;
  bool has_net_devices = false;
  bool has_intel_rdt = false;

  bool empty() const;
};

struct CdiDevice {
  std::string name;
  CdiEdits edits;
};

struct CdiSpec {
  std::string kind;  // "vendor.com/class"
  std::vector<CdiDevice> devices;
  CdiEdits edits;  // of every device of the file, once
};

// A name of a device: "vendor.com/class=name".
struct CdiName {
  std::string kind;
  std::string device;
};
Result<CdiName> ParseCdiName(const std::string& text);

// Reads a file strictly: an unknown field, a wrong value or a feature that is newer than the
// version the file claims is kInvalidArgument naming file and field. The bytes may be anybody's.
enum class CdiFormat { kJson, kYaml };
Result<CdiSpec> ParseCdiSpec(std::string_view text, CdiFormat format, const std::string& file_name);

}  // namespace catamaran
