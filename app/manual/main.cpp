// Writes the manual pages and the completions of shells, made from the table of options.
//   icapgate_manual icapgate.8|icapgate.toml.5|icapgate.bash|_icapgate
// Not installed; the build runs it.
#include "manual.hpp"

#include <cstdio>
#include <cstdlib>
#include <string_view>

int main(int argc, char** argv) {
  const std::string_view page = argc == 2 ? argv[1] : "";
  const auto text = icapgate::manual::write(page);
  if (text.empty()) {
    std::fputs("usage: icapgate_manual icapgate.8|icapgate.toml.5|icapgate.bash|_icapgate\n",
               stderr);
    return EXIT_FAILURE;
  }
  return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() ? EXIT_SUCCESS
                                                                         : EXIT_FAILURE;
}
