# whisper.cpp from its pinned sources: CPU only, static, no examples, nothing downloaded.
# GGML_NATIVE stays off so that a binary built here runs on its neighbours.
#
# Always optimised and without sanitizers: it is the oracle, not what is tested, and ten times
# slower otherwise. The function is a scope, so that none of this reaches our own targets.
function(oavc_add_whisper)
    set(CMAKE_BUILD_TYPE Release)
    set(CMAKE_C_FLAGS_RELEASE "-O2 -DNDEBUG")
    set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
    set(CMAKE_C_FLAGS "-w")
    set(CMAKE_CXX_FLAGS "-w")
    set(CMAKE_EXPORT_COMPILE_COMMANDS OFF)
    set(BUILD_SHARED_LIBS OFF CACHE BOOL "" FORCE)
    set(WHISPER_BUILD_TESTS OFF CACHE BOOL "" FORCE)
    set(WHISPER_BUILD_EXAMPLES OFF CACHE BOOL "" FORCE)
    set(WHISPER_BUILD_SERVER OFF CACHE BOOL "" FORCE)
    set(WHISPER_ALL_WARNINGS OFF CACHE BOOL "" FORCE)
    set(GGML_NATIVE OFF CACHE BOOL "" FORCE)
    set(GGML_OPENMP OFF CACHE BOOL "" FORCE)
    set(GGML_CCACHE OFF CACHE BOOL "" FORCE) # ours is set as the compiler's launcher already
    add_subdirectory(${OAVC_WHISPER_SOURCE} ${CMAKE_BINARY_DIR}/whisper.cpp EXCLUDE_FROM_ALL SYSTEM)
endfunction()
oavc_add_whisper()
