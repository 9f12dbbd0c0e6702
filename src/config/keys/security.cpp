#include "config/keys/keys.hpp"

#include <chrono>

namespace oavc::config {

std::vector<Key> security_keys() {
    return {
        {"security",
         "audit_file",
         [](Target t) -> Field { return &t.config.audit.file; },
         Path{},
         "Who did what, as JSON lines in a chain of hashes that `oavc audit verify` follows. Each "
         "process needs a file of its own. Empty: no audit."},
        {"security",
         "audit_sync",
         [](Target t) -> Field { return &t.config.audit.sync; },
         Choice{{"second", "write", "never"}},
         "When the audit must be on the disk, a power failure notwithstanding: once a second, "
         "after every write, or when the system likes."},
        {"security",
         "audit_file_size",
         [](Target t) -> Field { return &t.config.audit.file_size; },
         Integer{1, 100'000},
         "MiB after which the audit's file is put aside as FILE.NUMBER and another one begun."},

        {"recording",
         "folder",
         [](Target t) -> Field { return &t.config.pipeline.recording.folder; },
         Path{},
         "Where calls of agents with `record = yes` are recorded: a sealed file per call, in a "
         "folder per day."},
        {"recording",
         "key",
         [](Target t) -> Field { return &t.config.pipeline.recording.key; },
         Secret{},
         "What recordings are sealed with (AES-256-GCM): 32 bytes, as `openssl rand -hex 32` "
         "makes them. Without it nobody can listen, also not you."},
        {"recording",
         "keep_days",
         [](Target t) -> Field { return &t.config.pipeline.recording.keep_days; },
         Integer{0, 36'500},
         "Recordings are deleted after so many days. 0: never."},
    };
}

}  // namespace oavc::config
