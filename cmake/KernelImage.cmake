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

# /opt:noref keeps functions that nothing calls: their references must resolve too.
set(image ${PROJECT_BINARY_DIR}/bin/kernel_subset.sys)
add_custom_command(OUTPUT ${image}
  DEPENDS ${modules} kernel_subset_image $<TARGET_OBJECTS:kernel_subset_image> ${import_libs}
  COMMAND ${CMAKE_COMMAND} -E make_directory ${PROJECT_BINARY_DIR}/bin
  COMMAND ${CASEMENT_LLD_LINK} /driver /subsystem:native,10.00 /entry:DriverEntry /nodefaultlib
    /dynamicbase /nxcompat /highentropyva /release /Brepro /opt:noref /opt:noicf
    /debug /pdb:${PROJECT_BINARY_DIR}/bin/kernel_subset.pdb /pdbaltpath:%_PDB%
    /out:${image} $<TARGET_OBJECTS:kernel_subset_image> ${whole} ${import_libs}
  COMMAND_EXPAND_LISTS VERBATIM COMMENT "Linking bin/kernel_subset.sys")
add_custom_target(kernel_subset ALL DEPENDS ${image})

if(BUILD_TESTING)
  set(check ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tools/check_image.py)
  add_test(NAME kernel.image COMMAND ${check} ${image} --allow ${defs} --archives ${archives})
  add_test(NAME kernel.image_check_self_test
    COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tests/lint/check_image_test.py ${image})
endif()
