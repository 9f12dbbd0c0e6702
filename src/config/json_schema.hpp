#pragma once

#include <string>

namespace oavc::config {

/// docs/configuration.schema.json: the table of keys as a JSON Schema (draft 2020-12), for editors
/// and pipelines that check a configuration before the server sees it. The instance is the INI file
/// as an object of sections, each an object of keys; values may be the texts of the file, with or
/// without `${NAME}`, or JSON's own numbers, truths and lists. Names and choices are in lower case;
/// the predecessor's old names are not in it. Ends with a newline.
std::string json_schema();

}  // namespace oavc::config
