// The program's heap is jemalloc's, on huge pages. A thousand calls take turns every 20 ms, and
// each finds its few kilobytes fallen out of the address translation's caches: with 2 MiB pages
// they stay in, which is a tenth of all CPU (oavc bench --calls 1000, in turns with glibc's heap on
// 4 KiB pages). What the environment's MALLOC_CONF says comes on top.

#include <jemalloc/jemalloc.h>

const char* malloc_conf = "thp:always,metadata_thp:auto";
