#include "e2e/probe/file_features.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include "e2e/probe/feature_tries.h"

namespace catamaran::e2e {
namespace {

int Errno(int result) { return result < 0 ? errno : 0; }

int Statfs() {
  struct statfs system;
  return statfs(".", &system) != 0 ? errno
                                   : Outcome(system.f_blocks > 0 && system.f_namelen >= 255);
}

int Append() {
  const int one = Create("f", "", O_WRONLY | O_APPEND), two = open("f", O_WRONLY | O_APPEND);
  if (write(one, "a", 1) != 1 || write(two, "b", 1) != 1 || write(one, "c", 1) != 1) return errno;
  return Outcome(Content("f") == "abc");
}

int Flock() {
  const int held = Create("f");
  if (flock(held, LOCK_EX) != 0) return errno;
  return InChild([] {
    return Outcome(flock(open("f", O_RDWR), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK);
  });
}

int PosixLock() {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_len = 10;
  if (fcntl(Create("f"), F_SETLK, &lock) != 0) return errno;
  return InChild([] {
    struct flock wanted {};
    wanted.l_type = F_WRLCK;
    wanted.l_start = 5;
    wanted.l_len = 1;
    const int fd = open("f", O_RDWR);
    if (fcntl(fd, F_SETLK, &wanted) == 0) return kWrong;
    wanted.l_start = 10;
    return Errno(fcntl(fd, F_SETLK, &wanted));
  });
}

int OfdLock() {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  if (fcntl(Create("f"), F_OFD_SETLK, &lock) != 0) return errno;
  return Outcome(fcntl(open("f", O_RDWR), F_OFD_SETLK, &lock) != 0);
}

int MapShared() {
  const int fd = Create("f", "0123456789");
  auto* map = static_cast<char*>(mmap(nullptr, 10, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
  if (map == MAP_FAILED) return errno;
  map[3] = 'x';
  if (msync(map, 10, MS_SYNC) != 0) return errno;
  return Outcome(Content("f") == "012x456789");
}

int MapPrivate() {
  const int fd = Create("f", "0123456789");
  auto* map = static_cast<char*>(mmap(nullptr, 10, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
  if (map == MAP_FAILED) return errno;
  map[3] = 'x';
  return Outcome(map[4] == '4' && Content("f") == "0123456789");
}

int Direct() {
  void* page = nullptr;
  if (posix_memalign(&page, 4096, 4096) != 0) return ENOMEM;
  memset(page, 'd', 4096);
  const int fd = Create("f", "", O_RDWR | O_DIRECT);
  if (fd < 0 || pwrite(fd, page, 4096, 0) != 4096) return errno;
  memset(page, 0, 4096);
  if (pread(fd, page, 4096, 0) != 4096) return errno;
  return Outcome(static_cast<char*>(page)[4095] == 'd');
}

int Sync() {
  const int fd = Create("f", "x");
  if (fsync(fd) != 0 || fdatasync(fd) != 0) return errno;
  return Errno(fsync(open(".", O_RDONLY | O_DIRECTORY)));
}

int Truncate() {
  const int fd = Create("f", "0123456789");
  if (ftruncate(fd, 4) != 0) return errno;
  if (Content("f") != "0123") return kWrong;
  if (truncate("f", 6) != 0) return errno;
  return Outcome(Content("f") == std::string("0123\0\0", 6));
}

int Sparse() {
  const int fd = Create("f");
  if (pwrite(fd, "x", 1, 1 << 20) != 1) return errno;
  struct stat status;
  if (fsync(fd) != 0 || fstat(fd, &status) != 0) return errno;
  if (status.st_blocks * 512 >= 1 << 20) return kWrong;
  const off_t data = lseek(fd, 0, SEEK_DATA);
  return data < 0 ? errno : Outcome(data > 0 && lseek(fd, 0, SEEK_HOLE) == 0);
}

int Allocate() {
  const int fd = Create("f");
  if (fallocate(fd, 0, 0, 1 << 20) != 0) return errno;
  struct stat status;
  fstat(fd, &status);
  return Outcome(status.st_size == 1 << 20);
}

int PunchHole() {
  const int fd = Create("f", std::string(16384, 'x'));
  if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 4096) != 0) return errno;
  char byte = 'x';
  pread(fd, &byte, 1, 5000);
  return Outcome(byte == 0);
}

int CopyRange() {
  const int from = Create("f", "0123456789"), to = Create("g");
  const ssize_t count = copy_file_range(from, nullptr, to, nullptr, 0, 0);
  if (count < 0) return errno;
  off_t start = 2;
  if (copy_file_range(from, &start, to, nullptr, 5, 0) != 5) return errno;
  return Outcome(Content("g") == "23456");
}

int Rename() {
  const int open_file = Create("old", "old");
  Create("new", "new");
  if (rename("new", "old") != 0) return errno;
  char byte = 0;
  pread(open_file, &byte, 1, 0);
  return Outcome(Content("old") == "new" && byte == 'o');
}

int RenameNoReplace() {
  Create("a", "a");
  Create("b", "b");
  if (renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE) == 0) return kWrong;
  if (errno != EEXIST) return errno;
  return Errno(renameat2(AT_FDCWD, "a", AT_FDCWD, "c", RENAME_NOREPLACE));
}

int RenameExchange() {
  Create("a", "a");
  Create("b", "b");
  if (renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_EXCHANGE) != 0) return errno;
  return Outcome(Content("a") == "b" && Content("b") == "a");
}

int UnlinkedStaysOpen() {
  const int fd = Create("f", "content");
  if (unlink("f") != 0) return errno;
  char byte = 0;
  if (pread(fd, &byte, 1, 0) != 1 || pwrite(fd, "X", 1, 6) != 1) return errno;
  if (ftruncate(fd, 100) != 0 || fchmod(fd, 0600) != 0) return errno;
  struct stat status;
  if (fstat(fd, &status) != 0) return errno;
  return Outcome(byte == 'c' && status.st_size == 100 && status.st_nlink == 0 &&
                 access("f", F_OK) != 0);
}

int UnlinkedIsOpenedAgain() {
  const int fd = Create("f", "content");
  if (unlink("f") != 0) return errno;
  const int again = open(("/proc/self/fd/" + std::to_string(fd)).c_str(), O_RDONLY);
  char byte = 0;
  if (again < 0 || read(again, &byte, 1) != 1) return errno;
  return Outcome(byte == 'c');
}

int HardLink() {
  Create("f", "linked");
  if (link("f", "g") != 0) return errno;
  struct stat one, two;
  stat("f", &one);
  stat("g", &two);
  return Outcome(one.st_ino == two.st_ino && two.st_nlink == 2 && Content("g") == "linked");
}

int SymbolicLink() {
  Create("f", "behind");
  if (symlink("f", "l") != 0) return errno;
  char target[16];
  return Outcome(Content("l") == "behind" && readlink("l", target, sizeof target) == 1);
}

int LongNames() {
  const std::string name(NAME_MAX, 'n');
  if (const int fd = Create(name.c_str(), "x"); fd < 0) return errno;
  return Outcome(Content(name.c_str()) == "x" && open((name + "n").c_str(), O_RDONLY) < 0 &&
                 errno == ENAMETOOLONG);
}

int UserAttribute() {
  Create("f");
  if (setxattr("f", "user.note", "value", 5, XATTR_CREATE) != 0) return errno;
  char value[16], names[256];
  if (getxattr("f", "user.note", value, sizeof value) != 5) return errno;
  const ssize_t listed = listxattr("f", names, sizeof names);
  if (listed < 0 || removexattr("f", "user.note") != 0) return errno;
  return Outcome(std::string(names, listed).find("user.note") != std::string::npos &&
                 getxattr("f", "user.note", value, sizeof value) < 0 && errno == ENODATA);
}

int FileCapabilities() {
  Create("f");
  const unsigned char capability[20] = {0, 0, 0, 2};  // revision 2, none: capabilities(7)
  return Errno(setxattr("f", "security.capability", capability, sizeof capability, 0));
}

int Fifo() {
  if (mkfifo("p", 0600) != 0) return errno;
  const int reader = open("p", O_RDONLY | O_NONBLOCK), writer = open("p", O_WRONLY);
  char byte = 0;
  if (write(writer, "f", 1) != 1 || read(reader, &byte, 1) != 1) return errno;
  return Outcome(byte == 'f');
}

int UnixSocket() {
  sockaddr_un address{AF_UNIX, "s"};
  const int server = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
  if (bind(server, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return errno;
  if (listen(server, 1) != 0) return errno;
  return Errno(connect(client, reinterpret_cast<sockaddr*>(&address), sizeof address));
}

int CharacterDevice() { return Errno(mknod("null", S_IFCHR | 0600, makedev(1, 3))); }

int FileHandle() {
  Create("f");
  alignas(file_handle) char bytes[sizeof(file_handle) + MAX_HANDLE_SZ];
  auto* handle = reinterpret_cast<file_handle*>(bytes);
  handle->handle_bytes = MAX_HANDLE_SZ;
  int mount_id = 0;
  return Errno(name_to_handle_at(AT_FDCWD, "f", handle, &mount_id, 0));
}

int TemporaryFile() { return Errno(open(".", O_TMPFILE | O_RDWR, 0600)); }

int Lease() { return Errno(fcntl(Create("f"), F_SETLEASE, F_WRLCK)); }

int Executable() {
  const int from = open("/bin/busybox", O_RDONLY);
  const int to = open("true", O_WRONLY | O_CREAT, 0755);
  char bytes[1 << 16];
  for (ssize_t count; (count = read(from, bytes, sizeof bytes)) > 0;)
    if (write(to, bytes, count) != count) return errno;
  close(to);
  return InChild([] {
    execl("./true", "true", nullptr);
    return errno;
  });
}

int ManyFiles() {
  for (int i = 0; i < 300; ++i)
    if (const int fd = Create(std::to_string(i).c_str()); fd < 0 || close(fd) != 0) return errno;
  for (int i = 0; i < 300; ++i)
    if (unlink(std::to_string(i).c_str()) != 0) return errno;
  return 0;
}

constexpr struct {
  const char* name;
  Feature feature;
} kFeatures[] = {
    {"statfs", Statfs},
    {"O_APPEND", Append},
    {"flock", Flock},
    {"fcntl locks", PosixLock},
    {"open file description locks", OfdLock},
    {"mmap shared", MapShared},
    {"mmap private", MapPrivate},
    {"O_DIRECT", Direct},
    {"fsync", Sync},
    {"truncate", Truncate},
    {"sparse files", Sparse},
    {"fallocate", Allocate},
    {"punch hole", PunchHole},
    {"copy_file_range", CopyRange},
    {"rename over an open file", Rename},
    {"RENAME_NOREPLACE", RenameNoReplace},
    {"RENAME_EXCHANGE", RenameExchange},
    {"unlinked and open", UnlinkedStaysOpen},
    {"unlinked and opened again", UnlinkedIsOpenedAgain},
    {"hard links", HardLink},
    {"symbolic links", SymbolicLink},
    {"names of 255 bytes", LongNames},
    {"user attributes", UserAttribute},
    {"security.capability", FileCapabilities},
    {"fifos", Fifo},
    {"unix sockets", UnixSocket},
    {"device nodes", CharacterDevice},
    {"chown", Owner},
    {"created by another user", CreatedByAnotherUser},
    {"setgid folders", SetGroupIdFolder},
    {"set-id bits", SetIdBits},
    {"permissions", DeniesOthers},
    {"ACLs", AclGrantsAndDenies},
    {"default ACLs", AclsAreInherited},
    {"chmod and ACLs", ChmodChangesTheAcl},
    {"sticky folders", StickyFolder},
    {"set-id programs", SetIdProgram},
    {"folder renames", RenameFolder},
    {"folder renames over others", RenameFolderOverAnother},
    {"folder exchanges", ExchangeFolders},
    {"work in a renamed folder", WorkInARenamedFolder},
    {"removal while listing", RemoveWhileListing},
    {"times", Times},
    {"name_to_handle_at", FileHandle},
    {"O_TMPFILE", TemporaryFile},
    {"leases", Lease},
    {"execve", Executable},
    {"300 files", ManyFiles},
};

}  // namespace

int TryFileFeatures(const char* folder) {
  umask(022);
  int number = 0;
  for (const auto& [name, feature] : kFeatures) {
    const std::string place = std::string(folder) + "/feature-" + std::to_string(++number);
    if (mkdir(place.c_str(), 0755) != 0 || chdir(place.c_str()) != 0) {
      perror(place.c_str());
      return 1;
    }
    const int outcome = feature();
    printf("%s: %s\n", name,
           outcome == 0        ? "ok"
           : outcome == kWrong ? "wrong"
                               : strerrordesc_np(outcome));
    fflush(stdout);
  }
  return 0;
}

}  // namespace catamaran::e2e
