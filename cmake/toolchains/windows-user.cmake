# Windows programs from Linux, linked by lld. Everything but Windows' own libraries is linked into the
# program, so that it runs wherever its file is.
set(CMAKE_SYSTEM_NAME Windows)
include(${CMAKE_CURRENT_LIST_DIR}/mingw.cmake)
set(CMAKE_RC_COMPILER llvm-windres-19)

# Nothing of the building system is for Windows; packages of it come from cmake/Windows.cmake.
set(CMAKE_FIND_ROOT_PATH /usr/x86_64-w64-mingw32)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)

# _WIN32_WINNT: Windows 10, the oldest system that is supported (build 17763).
# -D__CPUID_H: clang's cpuid.h and mingw's intrin.h both define __cpuidex.
set(CMAKE_C_FLAGS_INIT "-D_WIN32_WINNT=0x0A00 -D__CPUID_H -pthread")
set(CMAKE_CXX_FLAGS_INIT "${casement_isystem} ${CMAKE_C_FLAGS_INIT}")
set(CMAKE_EXE_LINKER_FLAGS_INIT "-fuse-ld=lld -B${casement_mingw} -L${casement_mingw} -static -Wl,-Xlink=-Brepro")
