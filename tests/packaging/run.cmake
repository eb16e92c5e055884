# cmake -D WAY=find_package|pkg_config -D BUILD=... -D WORK=... -D CC=... -D LIBDIR=... -P run.cmake

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${command}\n${output}")
  endif()
  set(output ${output} PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})
set(prefix ${WORK}/moved)
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/installed)
# Nothing may depend on the place it was installed to.
file(RENAME ${WORK}/installed ${prefix})
set(consumer ${CMAKE_CURRENT_LIST_DIR}/consumer)

if(WAY STREQUAL "find_package")
  run(${CMAKE_COMMAND} -S ${consumer} -B ${WORK}/build -G Ninja -D CMAKE_C_COMPILER=${CC}
      -D CMAKE_PREFIX_PATH=${prefix})
  run(${CMAKE_COMMAND} --build ${WORK}/build)
  set(program ${WORK}/build/consumer)
else()
  set(ENV{PKG_CONFIG_PATH} ${prefix}/${LIBDIR}/pkgconfig)
  run(pkg-config --cflags --libs casement)
  string(STRIP "${output}" flags)
  separate_arguments(flags UNIX_COMMAND "${flags}")
  run(${CC} -Wall -Werror ${consumer}/consumer.c -o ${WORK}/consumer ${flags})
  set(program ${WORK}/consumer)
endif()
set(ENV{LD_LIBRARY_PATH} ${prefix}/${LIBDIR})
run(${program})
if(NOT output MATCHES "42")
  message(FATAL_ERROR "the consumer printed: ${output}")
endif()

# The headers for writing programs, and the programs, are there.
file(GLOB sdk ${prefix}/share/casement/sdk/include/*)
file(GLOB programs ${prefix}/bin/*)
if(NOT sdk OR NOT programs)
  message(FATAL_ERROR "not installed: the SDK's headers (${sdk}) or the programs (${programs})")
endif()
