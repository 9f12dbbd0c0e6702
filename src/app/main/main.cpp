#include "app/cli.hpp"
#include "app/options.hpp"

#include <cstdio>
#include <exception>
#include <string_view>
#include <vector>

int main(int argc, char** argv) {
    try {
        const std::vector<std::string_view> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
        return oavc::app::run(arguments);
    } catch (const oavc::app::UsageError& error) {
        std::fprintf(stderr, "oavc: %s\n", error.what());
        return 2;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "oavc: %s\n", error.what());
        return 1;
    }
}
