#include <cstdio>

int main() {
    std::puts("oavc " OAVC_VERSION);
    return 0;
}
