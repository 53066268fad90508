# How every target of the project is compiled: one interface library, one function.

add_library(abtest_flags INTERFACE)
target_compile_definitions(abtest_flags INTERFACE _POSIX_C_SOURCE=200809L)
target_include_directories(abtest_flags INTERFACE "${PROJECT_SOURCE_DIR}")
target_compile_options(abtest_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wstrict-prototypes
  -Wmissing-prototypes -Wold-style-definition -Wpointer-arith -Wcast-qual -Wundef
  -Wformat=2 -Wvla -Wwrite-strings -Wdouble-promotion -Wnull-dereference
  $<$<C_COMPILER_ID:GNU>:-Wlogical-op -Wduplicated-cond -Wduplicated-branches>
  -fno-math-errno -fstack-protector-strong)
if(ABTEST_WERROR)
  target_compile_options(abtest_flags INTERFACE -Werror)
endif()

# abtest_library(folder [folders it may see ...]): the static library abtest_<folder> of
# every .c in the folder.
function(abtest_library folder)
  file(GLOB sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/${folder}/*.c")
  add_library(abtest_${folder} STATIC ${sources})
  target_link_libraries(abtest_${folder} PRIVATE abtest_flags)
  foreach(seen IN LISTS ARGN)
    target_link_libraries(abtest_${folder} PUBLIC abtest_${seen})
  endforeach()
endfunction()
