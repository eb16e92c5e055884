# What both Windows toolchains share: clang-19 for x86_64-w64-windows-gnu with Debian's mingw-w64
# headers, LLVM's archiver, and GCC's libstdc++ headers.
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(CMAKE_C_COMPILER clang-19)
set(CMAKE_CXX_COMPILER clang++-19)
set(CMAKE_C_COMPILER_TARGET x86_64-w64-windows-gnu)
set(CMAKE_CXX_COMPILER_TARGET x86_64-w64-windows-gnu)
set(CMAKE_AR llvm-ar-19 CACHE FILEPATH "")
set(CMAKE_RANLIB llvm-ranlib-19 CACHE FILEPATH "")

# clang takes the newest libstdc++ that it finds, which is the win32 thread model's, without threads;
# ours is the posix one's.
set(casement_mingw /usr/lib/gcc/x86_64-w64-mingw32/12-posix)
if(NOT EXISTS ${casement_mingw})
  file(GLOB casement_mingw /usr/lib/gcc/x86_64-w64-mingw32/*-posix)
  list(SORT casement_mingw COMPARE NATURAL ORDER DESCENDING)
  list(GET casement_mingw 0 casement_mingw)
endif()
set(casement_cxx ${casement_mingw}/include/c++)
set(casement_isystem "-nostdinc++ -isystem ${casement_cxx} -isystem ${casement_cxx}/x86_64-w64-mingw32 -isystem ${casement_cxx}/backward")
