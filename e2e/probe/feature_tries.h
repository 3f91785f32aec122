#pragma once

#include <string>
#include <string_view>

namespace catamaran::e2e {

// What the tries of file_features.cc and its neighbours are made of. Each runs in a working
// folder of its own and gives 0, kWrong or an error number.
using Feature = int (*)();
inline constexpr int kWrong = -1;

inline int Outcome(bool right) { return right ? 0 : kWrong; }
// A new file with this content; -1 and errno.
int Create(const char* name, std::string_view content = "", int flags = 2 /* O_RDWR */);
std::string Content(const char* name);
// What another process gets.
int InChild(Feature feature);

// file_owner_features.cc
int Owner();
int CreatedByAnotherUser();
int SetGroupIdFolder();
int SetIdBits();
int DeniesOthers();
int Times();

// file_acl_features.cc
int AclGrantsAndDenies();
int AclsAreInherited();
int ChmodChangesTheAcl();
int StickyFolder();
int SetIdProgram();  // EPERM: it did not get the file's user

// file_folder_features.cc
int RenameFolder();
int RenameFolderOverAnother();
int ExchangeFolders();
int WorkInARenamedFolder();
int RemoveWhileListing();

}  // namespace catamaran::e2e
