# What the Windows user-mode build takes from the building system's packages: header-only fmt, Linux's
# uapi headers, whose structures are those of libbpf's API, and GoogleTest compiled from the sources
# that libgtest-dev brings.

set(CMAKE_SHARED_LINKER_FLAGS ${CMAKE_EXE_LINKER_FLAGS})  # a DLL is linked as a program is

set(imported ${PROJECT_BINARY_DIR}/imported/include)
file(MAKE_DIRECTORY ${imported})
file(CREATE_LINK /usr/include/fmt ${imported}/fmt SYMBOLIC)
add_library(fmt::fmt INTERFACE IMPORTED GLOBAL)
set_target_properties(fmt::fmt PROPERTIES
  INTERFACE_INCLUDE_DIRECTORIES ${imported}
  INTERFACE_SYSTEM_INCLUDE_DIRECTORIES ${imported}
  INTERFACE_COMPILE_DEFINITIONS FMT_HEADER_ONLY=1)

# The folders are the building system's, which has asm/ beside its other headers or in its own folder.
add_library(casement_linux_headers INTERFACE)
target_include_directories(casement_linux_headers SYSTEM INTERFACE $<BUILD_INTERFACE:${imported}>)
find_path(linux_asm asm/types.h PATHS /usr/include/x86_64-linux-gnu /usr/include/aarch64-linux-gnu /usr/include
  NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH REQUIRED)
file(CREATE_LINK ${linux_asm}/asm ${imported}/asm SYMBOLIC)
foreach(folder linux asm-generic)
  file(CREATE_LINK /usr/include/${folder} ${imported}/${folder} SYMBOLIC)
endforeach()

set(googletest /usr/src/googletest)
if(BUILD_TESTING AND EXISTS ${googletest}/CMakeLists.txt)
  set(INSTALL_GTEST OFF)
  add_subdirectory(${googletest} ${PROJECT_BINARY_DIR}/googletest EXCLUDE_FROM_ALL)
  foreach(part gtest gmock gtest_main)
    target_compile_options(${part} PRIVATE -w)
    if(NOT TARGET GTest::${part})
      add_library(GTest::${part} ALIAS ${part})
    endif()
  endforeach()
  set(GTest_FOUND TRUE)
endif()
