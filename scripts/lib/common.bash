# Shared by the scripts beside this folder: sourced, not run. They start with the repository as
# their working directory, say what they do, and show that they are alive while it takes long.
# shellcheck shell=bash
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

started=$SECONDS
cores=$(nproc)
export cores

if [[ -t 1 ]]; then
    interactive=1 bold=$'\e[1m' plain=$'\e[0m'
else
    interactive=0 bold='' plain=''
fi

say() { printf '%s\n' "$*"; }
step() { printf '%s▸ %s%s\n' "$bold" "$*" "$plain"; }
die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# took: seconds since the script began, for people.
took() {
    local seconds=$((SECONDS - started))
    if ((seconds < 60)); then
        printf '%d s' "$seconds"
    else
        printf '%d min %d s' $((seconds / 60)) $((seconds % 60))
    fi
}

# usage: prints the comment block at the top of the running script.
usage() { sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; }

# live_awk: awk that handles each line as it comes. Debian's mawk would collect 4 KiB first.
live_awk() {
    if awk -W version </dev/null 2>&1 | grep -q mawk; then
        awk -W interactive "$@"
    else
        awk "$@"
    fi
}

# percent_lines: of lines "PERCENT TEXT", shows one per ten per cent (a terminal: one line that
# changes).
percent_lines() {
    live_awk -v interactive="$interactive" '
        {
            percent = int($1); $1 = ""
            if (interactive) {
                printf "\r\033[K  %3d %%%s", percent, $0; fflush()
            } else if (int(percent / 10) > shown) {
                shown = int(percent / 10); printf "  %3d %%%s\n", percent, $0; fflush()
            }
        }
        END { if (interactive && NR > 0) print "" }'
}

# configure PRESET [OPTION…]: once, and again only when the options changed.
configure() {
    local preset=$1
    shift
    local folder=build/$preset wanted="$*"
    if [[ -f $folder/build.ninja && -f $folder/.options && $(<"$folder/.options") == "$wanted" ]]; then
        return
    fi
    step "configuring ($preset)"
    mkdir -p "$folder"
    if ! cmake --preset "$preset" "$@" >"$folder/configure.log" 2>&1; then
        tail -n 30 "$folder/configure.log" >&2
        die "cmake failed; all of it: $folder/configure.log"
    fi
    printf '%s' "$wanted" >"$folder/.options"
}

# with_whisper: the option that builds whisper.cpp where its sources are (scripts/fetch-whisper).
with_whisper() {
    if [[ -f third_party/whisper.cpp/.integrity ]]; then
        printf '%s' -DOAVC_WHISPER=ON
    else
        printf '%s' -DOAVC_WHISPER=OFF
    fi
}

# build PRESET [TARGET…]: quiet when there is nothing to do, else with progress.
build() {
    local preset=$1
    shift
    local folder=build/$preset log
    log=$folder/build.log
    if ninja -C "$folder" -n "$@" 2>/dev/null | grep -q '^ninja: no work to do'; then return; fi
    step "building ($preset, $cores jobs); the first time takes minutes"
    if ! NINJA_STATUS='@%f %t %e ' ninja -C "$folder" "$@" 2>&1 | tee "$log" | live_awk '
        /^@/ {
            done = substr($1, 2); total = $2; seconds = $3; $1 = $2 = $3 = ""
            if (total > 0) printf "%d %d of %d after %d s\n", 100 * done / total, done, total, seconds
            fflush()
        }' | percent_lines; then
        grep -vE '^@[0-9]+ [0-9]+ [0-9.]+ (Building|Linking|Re-checking)' "$log" | tail -n 60 >&2
        die "the build failed; all of it: $log"
    fi
}
