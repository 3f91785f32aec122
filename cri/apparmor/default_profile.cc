#include "cri/apparmor/default_profile.h"

namespace catamaran {

// What a container may do is decided by its namespaces, capabilities and filter. This is the second
// line behind them: it allows what a program needs and denies what would change the machine, even
// for a process that has got a capability, or a mount of /proc or /sys, that it should not have.
//
//   mounts     none are made or moved: a mount over a masked path would uncover it
//   /proc      written only below a process's own folder, and those sysctls that a namespace has of
//              its own: net, fs/mqueue, kernel/{shm*, msg*, sem, hostname, domainname}
//   /sys       not written, but for cgroups where they were mounted writable
//   ptrace     only among processes of this profile
//   signals    from outside, and among themselves
std::string_view DefaultAppArmorProfileText() {
  return R"(profile catamaran-default flags=(attach_disconnected,mediate_deleted) {
  capability,
  network,
  file,
  umount,
  signal (receive) peer=unconfined,
  signal (send, receive) peer=catamaran-default,
  ptrace (trace, read, tracedby, readby) peer=catamaran-default,

  deny mount,
  deny remount,
  deny pivot_root,

  # Files of the machine's kernel directly in /proc, and its folders there.
  deny /proc/[a-z]* wl,
  deny /proc/{kcore,kmem,mem,sysrq-trigger} rwklx,
  deny /proc/{acpi,asound,bus,driver,fs,irq,scsi,tty}/** wkl,

  # Sysctls that belong to no namespace.
  deny /proc/sys/{abi,crypto,debug,dev,sunrpc,user,vm,xen}/** wkl,
  deny /proc/sys/fs/[^m]** wkl,
  deny /proc/sys/fs/mount-max wkl,
  deny /proc/sys/kernel/[^dhms]** wkl,
  deny /proc/sys/kernel/d[^o]** wkl,
  deny /proc/sys/kernel/h[^o]** wkl,
  deny /proc/sys/kernel/hotplug wkl,
  deny /proc/sys/kernel/m[^s]** wkl,
  deny /proc/sys/kernel/s[^eh]** wkl,
  deny /proc/sys/kernel/seccomp/** wkl,

  deny /sys/[^f]** wkl,
  deny /sys/f[^s]** wkl,
  deny /sys/fs/[^c]** wkl,
  deny /sys/firmware/** rwklx,
  deny /sys/devices/virtual/powercap/** rwklx,
  deny /sys/kernel/security/** rwklx,
}
)";
}

}  // namespace catamaran
