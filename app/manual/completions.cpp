#include "base/help.hpp"
#include "base/options.hpp"
#include "manual.hpp"

namespace icapgate::manual {
namespace {

constexpr std::string_view commands = "doctor demo health help";

std::string topics() {
  std::string names;
  for (const auto name : help_topics()) (names += names.empty() ? "" : " ") += name;
  return names;
}

bool names_a_file(const option& row) {
  return row.kind == option_kind::path && row.argument.find("FILE") != row.argument.npos;
}

// In single quotes, for both shells and for zsh's own characters in a specification.
std::string for_zsh(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':') out += '\\';
    out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  }
  return out;
}

std::string zsh_flag(const option& row) {
  std::string text = "    '";
  if (row.is_list()) text += '*';
  (text += row.flag) += '[' + for_zsh(row.help) + ']';
  if (row.argument.empty()) return text + "'";
  text += ':' + for_zsh(row.argument) + ':';
  if (!row.choices.empty()) text += '(' + std::string(row.choices) + ')';
  if (names_a_file(row)) text += "_files";
  return text + "'";
}

}  // namespace

std::string bash_completion() {
  std::string flags = "--help --version";
  std::string values;
  for (const auto& row : options()) {
    if (row.flag.empty()) continue;
    (flags += ' ') += row.flag;
    if (row.argument.empty()) continue;
    values += "    " + std::string(row.flag) + ") ";
    if (names_a_file(row))
      values += "compopt -o default; COMPREPLY=()";
    else
      values += "COMPREPLY=($(compgen -W '" + std::string(row.choices) + "' -- \"$word\"))";
    values += "; return ;;\n";
  }
  return "# bash completion for icapgate\n"
         "_icapgate() {\n"
         "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}\n"
         "  case $before in\n" +
         values + "    help) COMPREPLY=($(compgen -W '" + topics() +
         "' -- \"$word\")); return ;;\n"
         "  esac\n"
         "  local words='" +
         flags +
         "'\n"
         "  if [ \"$COMP_CWORD\" -eq 1 ]; then words=\"" +
         std::string(commands) +
         " $words\"; fi\n"
         "  COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
         "}\n"
         "complete -F _icapgate icapgate\n";
}

std::string zsh_completion() {
  std::string flags;
  for (const auto& row : options())
    if (!row.flag.empty()) flags += zsh_flag(row) + " \\\n";
  return "#compdef icapgate\n"
         "_arguments \\\n" +
         flags +
         "    '(-h --help)'{-h,--help}'[the options in short]' \\\n"
         "    '(-V --version)'{-V,--version}'[versions of the program and its parts]' \\\n"
         "    '1:command:(" +
         std::string(commands) +
         ")' \\\n"
         "    '2:topic:(" +
         topics() + ")'\n";
}

}  // namespace icapgate::manual
