#pragma once

#include <string>

#include "cri/doctor/fix_plan.h"
#include "sandbox/base/deadline.h"
#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"

namespace catamaran {

// Makes changes of a host, and keeps them for its next boot: modules in
// /etc/modules-load.d/catamaran.conf, sysctls in /etc/sysctl.d/catamaran.conf. Lines of others in
// these files stay. Blocks.
class HostChanger {
 public:
  enum class Mode { kMake, kSay };  // what would be done
  struct Places {
    HostPath root{"/"};  // of etc/ and proc/; modes are those of folders below it
    std::string modprobe = "/sbin/modprobe";
  };
  HostChanger(Places places, Mode mode) : places_(std::move(places)), mode_(mode) {}

  // What was done, or would be: "net.ipv4.ip_forward = 1 (was 0), kept in ..."; "" where there was
  // nothing to do.
  Result<std::string> Make(const HostChange& change, Deadline deadline) const;

 private:
  Result<std::string> LoadModule(const std::string& name, Deadline deadline) const;
  Result<std::string> SetSysctl(const HostChange& change) const;
  Result<std::string> SetMode(const HostChange& change) const;
  // Makes sure that the file has this line; where it has one for the same key
  // ("KEY = ..."), that is replaced. False where it was there.
  Result<bool> Keep(const std::string& file, const std::string& key, const std::string& line) const;

  const Places places_;
  const Mode mode_;
};

}  // namespace catamaran
