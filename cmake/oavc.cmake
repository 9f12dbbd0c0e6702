# Compile settings shared by every target, and oavc_room(), which makes one library per room.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

# ccache keeps rebuilds short; paths relative to the checkout let several work trees share it.
find_program(OAVC_CCACHE ccache)
if(OAVC_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    set(launcher ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
                 ${OAVC_CCACHE})
    set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
    set(CMAKE_C_COMPILER_LAUNCHER ${launcher})
endif()

add_library(oavc_settings INTERFACE)
target_include_directories(oavc_settings INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_compile_options(
    oavc_settings
    INTERFACE -Wall
              -Wextra
              -Wpedantic
              -Wconversion
              -Wsign-conversion
              -Wshadow
              -Wold-style-cast
              $<$<BOOL:$ENV{CI}>:-Werror>
)
target_compile_definitions(
    oavc_settings
    INTERFACE BOOST_ASIO_SEPARATE_COMPILATION
              BOOST_ASIO_NO_DEPRECATED
              BOOST_BEAST_SEPARATE_COMPILATION
              OAVC_VERSION="${PROJECT_VERSION}"
              $<$<CONFIG:Debug>:_GLIBCXX_ASSERTIONS>
)

# oavc_room(NAME DEPENDS room… LINKS target…)
# Library oavc_NAME of all sources below src/NAME. DEPENDS are rooms that its headers may include
# (tools/check_includes holds the code to DESIGN's table); LINKS are third-party targets.
function(oavc_room name)
    cmake_parse_arguments(ROOM "" "" "DEPENDS;LINKS" ${ARGN})
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.cpp)
    list(FILTER sources EXCLUDE REGEX "/main/[^/]*$") # of executables, not the library
    if(sources)
        add_library(oavc_${name} STATIC ${sources})
        set(scope PUBLIC)
    else()
        add_library(oavc_${name} INTERFACE)
        set(scope INTERFACE)
    endif()
    list(TRANSFORM ROOM_DEPENDS PREPEND oavc_)
    target_link_libraries(oavc_${name} ${scope} oavc_settings ${ROOM_DEPENDS} ${ROOM_LINKS})
endfunction()
