# Windows kernel code from Linux: clang-19 for x86_64-w64-windows-gnu with Debian's mingw-w64 headers,
# linked by lld-link (cmake/KernelImage.cmake). There is no C library, no C++ runtime and no start-up
# code, hence "Generic": CMake must look for none of them.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(CMAKE_C_COMPILER clang-19)
set(CMAKE_CXX_COMPILER clang++-19)
set(CMAKE_C_COMPILER_TARGET x86_64-w64-windows-gnu)
set(CMAKE_CXX_COMPILER_TARGET x86_64-w64-windows-gnu)
set(CMAKE_AR llvm-ar-19 CACHE FILEPATH "")
set(CMAKE_RANLIB llvm-ranlib-19 CACHE FILEPATH "")
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)

# clang takes the newest libstdc++ that it finds, which is the win32 thread model's; the posix one has
# the same headers as everything else here.
set(casement_mingw /usr/lib/gcc/x86_64-w64-mingw32/12-posix)
if(NOT EXISTS ${casement_mingw})
  file(GLOB casement_mingw /usr/lib/gcc/x86_64-w64-mingw32/*-posix)
  list(SORT casement_mingw COMPARE NATURAL ORDER DESCENDING)
  list(GET casement_mingw 0 casement_mingw)
endif()
set(casement_cxx ${casement_mingw}/include/c++)
set(casement_isystem "-nostdinc++ -isystem ${casement_cxx} -isystem ${casement_cxx}/x86_64-w64-mingw32 -isystem ${casement_cxx}/backward")
set(casement_flags "-isystem /usr/x86_64-w64-mingw32/include -isystem /usr/x86_64-w64-mingw32/include/ddk")

# -D__CPUID_H: clang's cpuid.h and mingw's intrin.h both define __cpuidex.
# -fasynchronous-unwind-tables: without it there is no .pdata, and Windows cannot walk the stack.
# -mno-stack-arg-probe: frames stay far below a page (-Wframe-larger-than), so nothing needs probing.
# The preprocessor's __MINGW32__ headers want these: no inline CRT, no SSE assumptions beyond x86-64.
set(casement_flags "${casement_flags} -ffreestanding -fms-extensions -D__CPUID_H \
-fasynchronous-unwind-tables -fstack-protector-strong -mno-stack-arg-probe -mno-red-zone \
-gcodeview -Wframe-larger-than=1024 -Werror=frame-larger-than")
set(CMAKE_C_FLAGS_INIT "${casement_flags}")
set(CMAKE_CXX_FLAGS_INIT "${casement_isystem} ${casement_flags} -fno-exceptions -fno-rtti \
-fno-threadsafe-statics -Werror=global-constructors")
