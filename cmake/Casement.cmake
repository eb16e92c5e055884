# What every folder's CMakeLists.txt uses: casement_module() for a library, casement_program() for a
# program, casement_test() for a GoogleTest program that CTest runs case by case.

include(CTest)
include(GNUInstallDirs)
include(GoogleTest)

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# ccache where there is one; nothing depends on it.
find_program(CASEMENT_CCACHE ccache)
mark_as_advanced(CASEMENT_CCACHE)
if(CASEMENT_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_C_COMPILER_LAUNCHER ${CASEMENT_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CASEMENT_CCACHE})
endif()

# __FILE__ and debug information name no directory of the building machine.
add_compile_options(-ffile-prefix-map=${PROJECT_SOURCE_DIR}/=)

if(CASEMENT_SANITIZE)
  # -O1: sanitized code without optimisation is several times slower and finds nothing more.
  add_compile_options(-fsanitize=${CASEMENT_SANITIZE} -fno-omit-frame-pointer -O1 -g1)
  add_link_options(-fsanitize=${CASEMENT_SANITIZE})
  if(CASEMENT_SANITIZE MATCHES undefined)
    add_compile_options(-fno-sanitize-recover=undefined)
    if(CMAKE_CXX_COMPILER_ID STREQUAL Clang)
      # Helpers of hooks and embedders get the invocation as a type of their own that nobody but us
      # looks into (spec/extension.h, casement/vm.h), so a call's type differs from the function's.
      add_compile_options(-fno-sanitize=function)
    endif()
  endif()
endif()
if(CASEMENT_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

add_library(casement_warnings INTERFACE)
target_compile_options(casement_warnings INTERFACE
  -Wall -Wextra -Werror=switch -Wshadow -Wno-missing-field-initializers
  $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor>)

# The rules of [K] folders, which must also build for the Windows kernel (ARCHITECTURE.md). They hold
# in every build, so that a violation shows on Linux at once and not only in the kernel lane. A stack
# frame's size means something only in optimised code without instrumentation.
set(casement_optimised "$<CONFIG:Release,RelWithDebInfo,MinSizeRel>")
if(CASEMENT_SANITIZE)
  set(casement_plain 0)
else()
  set(casement_plain 1)
endif()
add_library(casement_kernel_rules INTERFACE)
target_compile_options(casement_kernel_rules INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions -fno-rtti -fno-threadsafe-statics>
  $<$<COMPILE_LANG_AND_ID:CXX,Clang>:-Werror=global-constructors -Werror=exit-time-destructors>
  $<$<AND:${casement_optimised},${casement_plain},$<CXX_COMPILER_ID:GNU>>:-Werror=frame-larger-than=1024>
  $<$<AND:${casement_optimised},${casement_plain},$<CXX_COMPILER_ID:Clang>>:-Wframe-larger-than=1024>
  $<$<AND:${casement_optimised},${casement_plain},$<CXX_COMPILER_ID:Clang>>:-Werror=frame-larger-than>)

# casement_module(name [KERNEL] SOURCES ... [DEPS other modules or libraries ...])
# KERNEL: a [K] folder. The kernel-subset build leaves out every module that is not one.
function(casement_module name)
  cmake_parse_arguments(ARG "KERNEL" "" "SOURCES;DEPS" ${ARGN})
  if(CASEMENT_KERNEL_SUBSET AND NOT ARG_KERNEL)
    return()
  endif()
  add_library(casement_${name} STATIC ${ARG_SOURCES})
  add_library(casement::${name} ALIAS casement_${name})
  set_target_properties(casement_${name} PROPERTIES EXPORT_NAME ${name})
  target_include_directories(casement_${name} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src>)
  target_link_libraries(casement_${name} PUBLIC ${ARG_DEPS} PRIVATE $<BUILD_INTERFACE:casement_warnings>)
  if(ARG_KERNEL)
    target_link_libraries(casement_${name} PRIVATE $<BUILD_INTERFACE:casement_kernel_rules>)
  endif()
  set_property(GLOBAL APPEND PROPERTY CASEMENT_MODULES casement_${name})
endfunction()

# casement_program(name [NO_INSTALL] SOURCES ... [DEPS ...])
function(casement_program name)
  cmake_parse_arguments(ARG "NO_INSTALL" "" "SOURCES;DEPS" ${ARGN})
  if(CASEMENT_KERNEL_SUBSET)
    return()
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} casement_warnings)
  if(CASEMENT_SANITIZE)  # a C program gets the C++ part of the sanitizers' run time for our libraries
    set_target_properties(${name} PROPERTIES LINKER_LANGUAGE CXX)
  endif()
  if(NOT ARG_NO_INSTALL)
    set_property(GLOBAL APPEND PROPERTY CASEMENT_PROGRAMS ${name})
  endif()
endfunction()

# casement_test(name SOURCES ... [DEPS ...] [LOCK name]): one GoogleTest program, each TEST a CTest case.
# Tests with the same LOCK do not run at the same time: `kernel_bpf` for those that look at all of the
# kernel's own BPF objects, or make some.
function(casement_test name)
  cmake_parse_arguments(ARG "" "LOCK" "SOURCES;DEPS" ${ARGN})
  if(CASEMENT_KERNEL_SUBSET OR NOT BUILD_TESTING)
    return()
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} casement_warnings GTest::gmock GTest::gtest_main)
  if(WIN32)  # tools/wine.py runs them
    set_property(GLOBAL APPEND PROPERTY CASEMENT_WINDOWS_TESTS ${name})
    return()
  endif()
  set(lock)
  if(ARG_LOCK)
    set(lock RESOURCE_LOCK ${ARG_LOCK})
  endif()
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 120 PROPERTIES TIMEOUT 900 ${lock}
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
endfunction()

# casement_fuzz(name CORPUS folder SOURCES ... [DEPS ...]): one fuzz target, a file with
# LLVMFuzzerTestOneInput. In the fuzz build it is a libFuzzer program; in every other build a test that
# replays the kept inputs in fuzz/corpus/FOLDER.
function(casement_fuzz name)
  cmake_parse_arguments(ARG "" "CORPUS" "SOURCES;DEPS" ${ARGN})
  set(corpus ${PROJECT_SOURCE_DIR}/fuzz/corpus/${ARG_CORPUS})
  if(CASEMENT_FUZZ)
    add_executable(fuzz_${name} ${ARG_SOURCES})
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    if(NOT TARGET fuzz_targets)
      add_custom_target(fuzz_targets)
    endif()
    add_dependencies(fuzz_targets fuzz_${name})
    file(WRITE ${PROJECT_BINARY_DIR}/bin/fuzz_${name}.corpus ${ARG_CORPUS}\n)  # for ./dev fuzz
  elseif(BUILD_TESTING)
    add_executable(fuzz_${name} ${ARG_SOURCES} ${PROJECT_SOURCE_DIR}/fuzz/replay_main.cpp)
    add_test(NAME fuzz.${name} COMMAND fuzz_${name} ${corpus})
    set_tests_properties(fuzz.${name} PROPERTIES TIMEOUT 300)
  else()
    return()
  endif()
  target_link_libraries(fuzz_${name} PRIVATE ${ARG_DEPS} casement_warnings)
endfunction()
