# What the Windows user-mode build takes from the building system's packages: header-only fmt, and
# GoogleTest compiled from the sources that libgtest-dev brings.

set(imported ${PROJECT_BINARY_DIR}/imported/include)
file(MAKE_DIRECTORY ${imported})
file(CREATE_LINK /usr/include/fmt ${imported}/fmt SYMBOLIC)
add_library(fmt::fmt INTERFACE IMPORTED GLOBAL)
set_target_properties(fmt::fmt PROPERTIES
  INTERFACE_INCLUDE_DIRECTORIES ${imported}
  INTERFACE_SYSTEM_INCLUDE_DIRECTORIES ${imported}
  INTERFACE_COMPILE_DEFINITIONS FMT_HEADER_ONLY=1)

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
