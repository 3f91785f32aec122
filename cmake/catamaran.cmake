# The functions by which every folder declares what it builds.
#
#   catamaran_library(NAME SOURCES ... LINK ...)     a static library of one folder
#   catamaran_test(NAME SOURCES ... LINK ... LABELS unit|services|privileged|vm|e2e [RUNTIME lite|full])
#   catamaran_proto(NAME PROTO path)                 a library of one .proto, includes from the root
#   catamaran_static(NAME...)                        no shared libraries: programs that run where there are none
#   catamaran_fuzz(NAME SOURCES ... LINK ... SEEDS dir)   a libFuzzer target (CATAMARAN_FUZZ=ON)
#
# Per-pod programs and everything below them use the lite protobuf runtime, linked statically; the
# daemon links the full shared one. A library therefore never links protobuf itself: programs and
# tests do (RUNTIME), so no program gets both.

add_library(catamaran_flags INTERFACE)
target_compile_options(catamaran_flags INTERFACE -Wall -Wextra -Werror -Wno-missing-field-initializers)
target_include_directories(catamaran_flags INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
# fmt 9's compile-time checks; no file offset is 32 bits anywhere.
target_compile_definitions(catamaran_flags INTERFACE _GNU_SOURCE _FILE_OFFSET_BITS=64)
target_link_libraries(catamaran_flags INTERFACE Threads::Threads)
if(CATAMARAN_SANITIZE)
  # gcc sees uninitialised members of std::expected-like types through the sanitizers' code.
  target_compile_options(catamaran_flags INTERFACE -Wno-maybe-uninitialized -fsanitize=address,undefined
                         -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g1)
  target_link_options(catamaran_flags INTERFACE -fsanitize=address,undefined)
endif()
if(CATAMARAN_FUZZ)
  target_compile_options(catamaran_flags INTERFACE -Wno-error -fsanitize=fuzzer-no-link,address,undefined
                         -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g1)
  target_link_options(catamaran_flags INTERFACE -fsanitize=address,undefined)
endif()

add_library(catamaran_protobuf_lite INTERFACE)
target_link_libraries(catamaran_protobuf_lite INTERFACE ${PROTOBUF_LITE_STATIC} Threads::Threads)
add_library(catamaran_protobuf_full INTERFACE)
target_link_libraries(catamaran_protobuf_full INTERFACE protobuf::libprotobuf Threads::Threads)

# What the sanitizer run and the fuzz run build: not the whole tree.
add_custom_target(unit_tests)
add_custom_target(fuzz_targets)

function(catamaran_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC catamaran_flags ${ARG_LINK})
endfunction()

function(catamaran_test name)
  cmake_parse_arguments(ARG "" "RUNTIME;TIMEOUT" "SOURCES;LINK;LABELS" ${ARGN})
  if(CATAMARAN_FUZZ)
    return()
  endif()
  if(NOT ARG_RUNTIME)
    set(ARG_RUNTIME lite)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  if(NOT ARG_LABELS)
    set(ARG_LABELS unit)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} catamaran_flags catamaran_protobuf_${ARG_RUNTIME}
                        GTest::gtest GTest::gtest_main)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT})
  if(ARG_LABELS MATCHES "unit|services")
    add_dependencies(unit_tests ${name})
  endif()
endfunction()

# Sanitizers do not allow it; what they run stays on this machine.
function(catamaran_static)
  if(CATAMARAN_SANITIZE OR CATAMARAN_FUZZ)
    return()
  endif()
  foreach(name ${ARGN})
    target_link_options(${name} PRIVATE -static)
  endforeach()
endfunction()

# Generated code is not ours to keep warning-free.
function(catamaran_proto name)
  cmake_parse_arguments(ARG "" "PROTO" "LINK" ${ARGN})
  string(REGEX REPLACE "\\.proto$" "" stem ${ARG_PROTO})
  get_filename_component(folder ${CMAKE_BINARY_DIR}/${ARG_PROTO} DIRECTORY)
  file(MAKE_DIRECTORY ${folder})
  add_custom_command(
    OUTPUT ${CMAKE_BINARY_DIR}/${stem}.pb.cc ${CMAKE_BINARY_DIR}/${stem}.pb.h
    COMMAND protobuf::protoc --proto_path=${CMAKE_SOURCE_DIR} --cpp_out=${CMAKE_BINARY_DIR}
            ${CMAKE_SOURCE_DIR}/${ARG_PROTO}
    DEPENDS ${CMAKE_SOURCE_DIR}/${ARG_PROTO} VERBATIM)
  add_library(${name} STATIC ${CMAKE_BINARY_DIR}/${stem}.pb.cc)
  target_include_directories(${name} SYSTEM PUBLIC ${CMAKE_BINARY_DIR})
  target_link_libraries(${name} PUBLIC ${ARG_LINK})
endfunction()

function(catamaran_fuzz name)
  cmake_parse_arguments(ARG "" "SEEDS;RUNTIME" "SOURCES;LINK" ${ARGN})
  if(NOT CATAMARAN_FUZZ)
    return()
  endif()
  if(NOT ARG_RUNTIME)
    set(ARG_RUNTIME lite)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} catamaran_flags catamaran_protobuf_${ARG_RUNTIME})
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
  add_dependencies(fuzz_targets ${name})
  # CI runs every target over its kept seeds; `./dev fuzz SECS` starts from them for new inputs.
  file(WRITE ${CMAKE_BINARY_DIR}/fuzz/${name}.seeds ${CMAKE_CURRENT_SOURCE_DIR}/${ARG_SEEDS})
  add_test(NAME ${name} COMMAND ${name} -runs=0 ${CMAKE_CURRENT_SOURCE_DIR}/${ARG_SEEDS})
  set_tests_properties(${name} PROPERTIES LABELS fuzz TIMEOUT 300)
endfunction()
