# whisper.cpp from its pinned sources: static, no examples, nothing downloaded. On the CPU, and with
# OAVC_CUDA on NVIDIA GPUs, too. GGML_NATIVE stays off so that a binary built here runs on its
# neighbours: OAVC_WHISPER_CPU names the instructions that they all have.
#
# Always optimised and without sanitizers: it is not what is tested, and ten times slower otherwise.
# The function is a scope, so that none of this reaches our own targets.
set(OAVC_WHISPER_CPUS sse42 avx2 avx512 native)
if(NOT OAVC_WHISPER_CPU IN_LIST OAVC_WHISPER_CPUS)
    message(FATAL_ERROR "OAVC_WHISPER_CPU is '${OAVC_WHISPER_CPU}', not one of ${OAVC_WHISPER_CPUS}")
endif()

# Before the compiler's own message, which names none of our options.
if(OAVC_CUDA)
    if(NOT EXISTS ${OAVC_WHISPER_SOURCE}/ggml/src/ggml-cuda/CMakeLists.txt)
        message(FATAL_ERROR "OAVC_CUDA is on but ${OAVC_WHISPER_SOURCE} has no CUDA part. "
                            "Run scripts/fetch-whisper.")
    endif()
    find_package(CUDAToolkit)
    if(NOT CUDAToolkit_FOUND)
        message(FATAL_ERROR "OAVC_CUDA is on but there is no CUDA toolkit (nvcc) here.")
    endif()
endif()

function(oavc_whisper_cpu)
    set(of_avx2 AVX AVX2 FMA F16C BMI2)
    set(of_avx512 ${of_avx2} AVX512)
    foreach(instructions IN LISTS of_avx512)
        set(GGML_${instructions} OFF CACHE BOOL "" FORCE)
    endforeach()
    set(GGML_SSE42 ON CACHE BOOL "" FORCE)
    set(GGML_NATIVE OFF CACHE BOOL "" FORCE)
    if(OAVC_WHISPER_CPU STREQUAL "native")
        set(GGML_NATIVE ON CACHE BOOL "" FORCE)
    else()
        foreach(instructions IN LISTS of_${OAVC_WHISPER_CPU})
            set(GGML_${instructions} ON CACHE BOOL "" FORCE)
        endforeach()
    endif()
endfunction()

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
    set(GGML_CUDA ${OAVC_CUDA} CACHE BOOL "" FORCE)
    set(GGML_CUDA_NCCL OFF CACHE BOOL "" FORCE) # for several GPUs at once; we use one
    set(GGML_OPENMP OFF CACHE BOOL "" FORCE)
    set(GGML_CCACHE OFF CACHE BOOL "" FORCE) # ours is set as the compiler's launcher already
    oavc_whisper_cpu()
    if(OAVC_CUDA)
        # nvcc takes g++ for the host's part, and g++ does not know clang's name of the linker.
        set(CMAKE_EXE_LINKER_FLAGS "")
    endif()
    add_subdirectory(${OAVC_WHISPER_SOURCE} ${CMAKE_BINARY_DIR}/whisper.cpp EXCLUDE_FROM_ALL SYSTEM)
endfunction()
oavc_add_whisper()
