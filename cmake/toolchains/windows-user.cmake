# Windows programs from Linux: clang-19 for x86_64-w64-windows-gnu with Debian's mingw-w64 headers and
# GCC's libstdc++ of the posix thread model, linked by lld. Everything but Windows' own libraries is
# linked into the program, so that it runs wherever its file is.
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(CMAKE_C_COMPILER clang-19)
set(CMAKE_CXX_COMPILER clang++-19)
set(CMAKE_C_COMPILER_TARGET x86_64-w64-windows-gnu)
set(CMAKE_CXX_COMPILER_TARGET x86_64-w64-windows-gnu)
set(CMAKE_RC_COMPILER llvm-windres-19)
set(CMAKE_AR llvm-ar-19 CACHE FILEPATH "")
set(CMAKE_RANLIB llvm-ranlib-19 CACHE FILEPATH "")

# Nothing of the building system is for Windows; packages of it come from cmake/Windows.cmake.
set(CMAKE_FIND_ROOT_PATH /usr/x86_64-w64-mingw32)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)

# clang takes the newest libstdc++ that it finds, which is the win32 thread model's, without threads.
set(casement_mingw /usr/lib/gcc/x86_64-w64-mingw32/12-posix)
if(NOT EXISTS ${casement_mingw})
  file(GLOB casement_mingw /usr/lib/gcc/x86_64-w64-mingw32/*-posix)
  list(SORT casement_mingw COMPARE NATURAL ORDER DESCENDING)
  list(GET casement_mingw 0 casement_mingw)
endif()
set(casement_cxx ${casement_mingw}/include/c++)
# _WIN32_WINNT: Windows 10, the oldest system that is supported (build 17763).
# -D__CPUID_H: clang's cpuid.h and mingw's intrin.h both define __cpuidex.
set(CMAKE_C_FLAGS_INIT "-D_WIN32_WINNT=0x0A00 -D__CPUID_H -pthread")
set(CMAKE_CXX_FLAGS_INIT "-nostdinc++ -isystem ${casement_cxx} \
-isystem ${casement_cxx}/x86_64-w64-mingw32 -isystem ${casement_cxx}/backward ${CMAKE_C_FLAGS_INIT}")
set(CMAKE_EXE_LINKER_FLAGS_INIT "-fuse-ld=lld -B${casement_mingw} -L${casement_mingw} -static -Wl,-Xlink=-Brepro")
