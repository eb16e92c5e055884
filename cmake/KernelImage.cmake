# The kernel subset: every [K] module, whole, linked into one Windows driver image by lld-link, and the
# tests of that image. What the image may import stands in one file per module of Windows,
# src/platform/windows_kernel/NAME.def, which is at once the import library's source and the allow-list.

find_program(CASEMENT_LLD_LINK lld-link-19 REQUIRED)
find_program(CASEMENT_DLLTOOL llvm-dlltool-19 REQUIRED)
find_package(Python3 COMPONENTS Interpreter REQUIRED)

file(GLOB defs CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/platform/windows_kernel/*.def)
set(import_libs)
foreach(def ${defs})
  get_filename_component(stem ${def} NAME_WE)
  set(lib ${PROJECT_BINARY_DIR}/lib/${stem}.lib)
  add_custom_command(OUTPUT ${lib} DEPENDS ${def}
    COMMAND ${CASEMENT_DLLTOOL} -m i386:x86-64 -d ${def} -l ${lib})
  list(APPEND import_libs ${lib})
endforeach()

# Besides the modules: the entry point, and what a driver brings instead of a run-time library.
set(image_folder ${PROJECT_SOURCE_DIR}/src/products/kernel_subset)
add_library(kernel_subset_image OBJECT ${image_folder}/image.cpp ${image_folder}/rt.cpp)

get_property(modules GLOBAL PROPERTY CASEMENT_MODULES)
set(whole)
set(archives)
foreach(module ${modules})
  list(APPEND whole /wholearchive:$<TARGET_FILE:${module}>)
  list(APPEND archives $<TARGET_FILE:${module}>)
endforeach()

# casement_driver(name OBJECTS library INPUTS ... OPTIONS ...): links bin/NAME.sys, twice; the first
# goes to bin/again/NAME.sys and must be the same bytes.
function(casement_driver name)
  cmake_parse_arguments(ARG "" "OBJECTS" "INPUTS;OPTIONS" ${ARGN})
  set(image ${PROJECT_BINARY_DIR}/bin/${name}.sys)
  set(first ${PROJECT_BINARY_DIR}/bin/again/${name}.sys)
  set(link ${CASEMENT_LLD_LINK} /driver /subsystem:native,10.00 /entry:DriverEntry /nodefaultlib
    /dynamicbase /nxcompat /highentropyva /release /Brepro ${ARG_OPTIONS}
    /debug /pdb:${PROJECT_BINARY_DIR}/bin/${name}.pdb /pdbaltpath:%_PDB%
    /out:${image} $<TARGET_OBJECTS:${ARG_OBJECTS}> ${ARG_INPUTS} ${import_libs})
  add_custom_command(OUTPUT ${image} ${first}
    DEPENDS ${modules} ${ARG_OBJECTS} $<TARGET_OBJECTS:${ARG_OBJECTS}> ${import_libs}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${PROJECT_BINARY_DIR}/bin/again
    COMMAND ${link}
    COMMAND ${CMAKE_COMMAND} -E rename ${image} ${first}
    COMMAND ${link}
    COMMAND_EXPAND_LISTS VERBATIM COMMENT "Linking bin/${name}.sys")
  set(outputs ${image} ${first})
  add_custom_target(${name} ALL DEPENDS ${outputs})
  if(BUILD_TESTING)
    add_test(NAME kernel.${name} COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tools/check_image.py
      ${image} --allow ${defs} --archives ${archives})
    add_test(NAME kernel.${name}_is_reproducible COMMAND ${CMAKE_COMMAND} -E compare_files ${outputs})
  endif()
endfunction()

# /opt:noref keeps functions that nothing calls: their references must resolve too.
casement_driver(kernel_subset OBJECTS kernel_subset_image INPUTS ${whole} OPTIONS /opt:noref /opt:noicf)

set(core ${PROJECT_SOURCE_DIR}/src/products/ebpfcore)
set(platform_headers $<TARGET_PROPERTY:casement_platform,INTERFACE_INCLUDE_DIRECTORIES>)
add_library(ebpfcore_objects OBJECT ${core}/driver.cpp ${core}/file.cpp ${core}/files.cpp ${image_folder}/rt.cpp)
target_include_directories(ebpfcore_objects PRIVATE ${platform_headers})
target_link_libraries(ebpfcore_objects PRIVATE casement_warnings casement_kernel_rules)
casement_driver(ebpfcore OBJECTS ebpfcore_objects INPUTS ${archives} OPTIONS /opt:ref /opt:icf)

if(BUILD_TESTING)
  add_test(NAME kernel.image_check_self_test
    COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tests/lint/check_image_test.py
      ${PROJECT_BINARY_DIR}/bin/kernel_subset.sys)
  # The test kernel that tools/wine.py links at test time (tests/wine/test_kernel.cpp).
  add_library(test_kernel OBJECT ${PROJECT_SOURCE_DIR}/tests/wine/test_kernel.cpp)
  target_include_directories(test_kernel PRIVATE ${platform_headers})
  target_compile_options(test_kernel PRIVATE -fno-stack-protector)
endif()
