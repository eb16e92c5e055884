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

add_library(casement_warnings INTERFACE)
target_compile_options(casement_warnings INTERFACE
  -Wall -Wextra -Werror=switch -Wshadow -Wnon-virtual-dtor -Wno-missing-field-initializers)

# The rules of [K] folders, which must also build for the Windows kernel (ARCHITECTURE.md).
add_library(casement_kernel_rules INTERFACE)
target_compile_options(casement_kernel_rules INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions -fno-rtti -fno-threadsafe-statics>)

# casement_module(name [KERNEL] SOURCES ... [DEPS other modules or libraries ...])
function(casement_module name)
  cmake_parse_arguments(ARG "KERNEL" "" "SOURCES;DEPS" ${ARGN})
  add_library(casement_${name} STATIC ${ARG_SOURCES})
  add_library(casement::${name} ALIAS casement_${name})
  target_include_directories(casement_${name} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src>)
  target_link_libraries(casement_${name} PUBLIC ${ARG_DEPS} PRIVATE $<BUILD_INTERFACE:casement_warnings>)
  if(ARG_KERNEL)
    target_link_libraries(casement_${name} PRIVATE $<BUILD_INTERFACE:casement_kernel_rules>)
  endif()
  set_property(GLOBAL APPEND PROPERTY CASEMENT_MODULES casement_${name})
endfunction()

# casement_program(name SOURCES ... [DEPS ...])
function(casement_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} casement_warnings)
endfunction()

# casement_test(name SOURCES ... [DEPS ...]): one GoogleTest program, each TEST a CTest case.
function(casement_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  find_package(GTest REQUIRED)
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} casement_warnings GTest::gmock GTest::gtest_main)
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT 300
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
endfunction()
