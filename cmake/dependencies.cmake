# Every third-party library, once. All are Debian 12 packages (scripts/setup lists them) except
# whisper.cpp, which is a pinned source archive.

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json url)
find_package(OpenSSL REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(simdjson REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(opus REQUIRED IMPORTED_TARGET opus)
pkg_check_modules(srtp REQUIRED IMPORTED_TARGET libsrtp2)
pkg_check_modules(speexdsp REQUIRED IMPORTED_TARGET speexdsp)
pkg_check_modules(webrtc_apm REQUIRED IMPORTED_TARGET webrtc-audio-processing)
pkg_check_modules(jemalloc REQUIRED IMPORTED_TARGET jemalloc)

function(oavc_library target)
    cmake_parse_arguments(LIB "" "HEADER" "NAMES" ${ARGN})
    find_path(${target}_INCLUDE ${LIB_HEADER} PATH_SUFFIXES ${target} REQUIRED)
    add_library(oavc_${target} INTERFACE IMPORTED GLOBAL)
    target_include_directories(oavc_${target} SYSTEM INTERFACE ${${target}_INCLUDE})
    foreach(name IN LISTS LIB_NAMES)
        find_library(${target}_${name} ${name} REQUIRED)
        target_link_libraries(oavc_${target} INTERFACE ${${target}_${name}})
    endforeach()
endfunction()

# Its pkg-config file names a header folder that the package does not have.
oavc_library(pocketsphinx HEADER pocketsphinx.h NAMES pocketsphinx sphinxbase)
# Its CMake package wants the development files of a web server and of curl; the core needs neither.
oavc_library(prometheus HEADER prometheus/registry.h NAMES prometheus-cpp-core)
oavc_library(spandsp HEADER spandsp.h NAMES spandsp)
oavc_library(
    flite
    HEADER
    flite/flite.h
    NAMES
    flite_cmu_us_slt
    flite_cmu_us_rms
    flite_cmu_us_awb
    flite_cmu_us_kal
    flite_usenglish
    flite_cmulex
    flite
)

if(OAVC_WHISPER)
    if(NOT EXISTS ${OAVC_WHISPER_SOURCE}/CMakeLists.txt)
        message(FATAL_ERROR "OAVC_WHISPER is on but ${OAVC_WHISPER_SOURCE} holds no whisper.cpp. "
                            "Run scripts/setup, or pass -DOAVC_WHISPER_SOURCE=DIR.")
    endif()
    include(whisper)
endif()
