// Manual pages and completions, made from the table of options.
#pragma once

#include <string>
#include <string_view>

namespace icapgate::manual {

// `page`: one of the names that main.cpp lists. Empty: another name.
std::string write(std::string_view page);

std::string program_page();   // icapgate(8)
std::string settings_page();  // icapgate.toml(5)
std::string bash_completion();
std::string zsh_completion();

}  // namespace icapgate::manual
