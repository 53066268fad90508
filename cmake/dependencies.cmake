# Every library from outside, found once. docs/dependencies.md says why each is here.
# Those without a CMake package are looked for by header and library, so that a missing
# one is named at configure time together with its Debian package.

find_package(Threads REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS C)
find_package(ZLIB REQUIRED)

# abtest_find(target header library debian-package)
function(abtest_find target header library package)
  find_path(${target}_INCLUDE NAMES ${header})
  find_library(${target}_LIBRARY NAMES ${library})
  if(NOT ${target}_INCLUDE OR NOT ${target}_LIBRARY)
    message(FATAL_ERROR "abtest needs ${header} and lib${library}: apt-get install ${package}")
  endif()
  add_library(${target} INTERFACE IMPORTED GLOBAL)
  set_target_properties(${target} PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES "${${target}_INCLUDE}"
    INTERFACE_LINK_LIBRARIES "${${target}_LIBRARY}")
endfunction()

abtest_find(openblas cblas.h openblas libopenblas-dev)
abtest_find(lapacke lapacke.h lapacke liblapacke-dev)
abtest_find(jansson jansson.h jansson libjansson-dev)
abtest_find(inih ini.h inih libinih-dev)
abtest_find(zstd zstd.h zstd libzstd-dev)
abtest_find(xxhash xxhash.h xxhash libxxhash-dev)
abtest_find(curl curl/curl.h curl libcurl4-gnutls-dev)
abtest_find(event_core event2/event.h event_core libevent-dev)
abtest_find(event_pthreads event2/thread.h event_pthreads libevent-dev)

# With -lgslcblas first, cblas_* would silently bind to the slow reference.
set(GSL_CBLAS_LIBRARY "${openblas_LIBRARY}" CACHE FILEPATH "CBLAS for GSL")
find_package(GSL REQUIRED)

# Debian ships llhttp as C sources inside node-llhttp. They are not ours to warn about.
find_path(LLHTTP_SOURCE NAMES llhttp.c PATHS /usr/share/llhttp NO_DEFAULT_PATH)
find_path(LLHTTP_INCLUDE NAMES llhttp.h PATHS /usr/share/include/llhttp NO_DEFAULT_PATH)
if(NOT LLHTTP_SOURCE OR NOT LLHTTP_INCLUDE)
  message(FATAL_ERROR "abtest needs llhttp's sources: apt-get install node-llhttp")
endif()
add_library(llhttp STATIC ${LLHTTP_SOURCE}/llhttp.c ${LLHTTP_SOURCE}/api.c
            ${LLHTTP_SOURCE}/http.c)
target_include_directories(llhttp SYSTEM PUBLIC "${LLHTTP_INCLUDE}")
target_compile_options(llhttp PRIVATE -w)
# The default is the loose grammar: bare LF and the like.
target_compile_definitions(llhttp PUBLIC LLHTTP_STRICT_MODE=1)
