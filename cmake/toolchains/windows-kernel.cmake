# Windows kernel code from Linux, linked by lld-link (cmake/KernelImage.cmake). There is no C library,
# no C++ runtime and no start-up code, hence "Generic": CMake must look for none of them.
set(CMAKE_SYSTEM_NAME Generic)
include(${CMAKE_CURRENT_LIST_DIR}/mingw.cmake)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)

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
