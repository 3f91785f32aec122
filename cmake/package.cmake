# What an installation consists of, and the Debian package of it (`./dev package` runs cpack).
# A tree for other distributions and the installer's image: manifests/package/.
if(CATAMARAN_SANITIZE OR CATAMARAN_FUZZ)
  return()
endif()

# Only what is installed is built for it.
set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON)
set(manifests ${CMAKE_SOURCE_DIR}/manifests)
set(package ${manifests}/package)
# The daemon finds its shim, and `guest build` agent and script, beside the program itself.
install(TARGETS catamaran catamaran-shim catamaran-agent RUNTIME DESTINATION usr/lib/catamaran)
install(PROGRAMS vm-backend/guest/build-guest.sh DESTINATION usr/lib/catamaran)
install(FILES ${package}/config.yaml DESTINATION etc/catamaran)
install(FILES ${manifests}/catamaran.service DESTINATION lib/systemd/system)
install(FILES ${manifests}/completion/catamaran DESTINATION usr/share/bash-completion/completions)
install(FILES ${manifests}/catamaran.yaml ${manifests}/installer.yaml ${manifests}/runtimeclasses.yaml
        DESTINATION usr/share/doc/catamaran/examples)
install(DIRECTORY ${manifests}/docs/ DESTINATION usr/share/doc/catamaran FILES_MATCHING PATTERN *.md)
install(FILES ${package}/debian/copyright DESTINATION usr/share/doc/catamaran)
install(FILES ${package}/debian/lintian-overrides DESTINATION usr/share/lintian/overrides
        RENAME catamaran)

set(CPACK_PACKAGE_CONTACT "The Catamaran authors <catamaran@debian.invalid>")
string(TIMESTAMP CHANGELOG_DATE "%a, %d %b %Y %H:%M:%S +0000" UTC)
configure_file(${package}/debian/changelog ${CMAKE_BINARY_DIR}/package/changelog @ONLY)
# Debian wants these compressed, and without a time in them.
install(CODE "
  set(root \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}\")
  function(compress from to)
    get_filename_component(folder \${root}/\${to} DIRECTORY)
    file(MAKE_DIRECTORY \${folder})
    execute_process(COMMAND gzip -9nc \${from} OUTPUT_FILE \${root}/\${to} COMMAND_ERROR_IS_FATAL ANY)
  endfunction()
  compress(${manifests}/man/catamaran.8 usr/share/man/man8/catamaran.8.gz)
  compress(${manifests}/man/catamaran-config.5 usr/share/man/man5/catamaran-config.5.gz)
  compress(${CMAKE_BINARY_DIR}/package/changelog usr/share/doc/catamaran/changelog.gz)
  file(MAKE_DIRECTORY \${root}/usr/bin)
  file(CREATE_LINK ../lib/catamaran/catamaran \${root}/usr/bin/catamaran SYMBOLIC)")

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME catamaran)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR}/package)
set(CPACK_PACKAGING_INSTALL_PREFIX /)
set(CPACK_STRIP_FILES TRUE)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Kubernetes container runtime (CRI) with namespaces and virtual machines")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"Catamaran is a kubelet's container runtime. A pod's RuntimeClass decides
whether its containers run in namespaces on the node's kernel or in a virtual
machine of their own; both by the same engine.
.
The kernel that virtual machines start from is made on the node, by the
command catamaran guest build, from Debian's packages.")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# What no library tells: the built-in network's nft, the VMs' qemu, what build-guest.sh runs.
set(CPACK_DEBIAN_PACKAGE_DEPENDS
    "ca-certificates, cpio, e2fsprogs, nftables, qemu-system-x86, xz-utils, zstd")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "apparmor, containernetworking-plugins, iptables")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "bash-completion, cri-tools, kubelet")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${package}/debian/conffiles ${package}/debian/postinst
    ${package}/debian/prerm ${package}/debian/postrm)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION TRUE)
include(CPack)
