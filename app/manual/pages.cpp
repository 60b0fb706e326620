#include "base/help.hpp"
#include "base/options.hpp"
#include "manual.hpp"

#include <algorithm>
#include <vector>

namespace icapgate::manual {
namespace {

// Text of the table for troff: a backslash is one, a hyphen can be copied and pasted, and no line
// begins as a request.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text)
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else
      out += c;
  return out.starts_with('.') || out.starts_with('\'') ? "\\&" + out : out;
}

std::string bold(std::string_view text) {
  return "\\fB" + escaped(text) + "\\fR";
}

std::string italic(std::string_view text) {
  return "\\fI" + escaped(text) + "\\fR";
}

std::string title(std::string_view name, int section) {
  return ".TH " + std::string(name) + ' ' + std::to_string(section) + " \"\" \"icapgate " +
         std::string(program_version()) + "\" \"icapgate\"\n";
}

std::string section(std::string_view name) {
  return ".SH " + std::string(name) + '\n';
}

std::string sentence(std::string_view text) {
  return escaped(text) + (text.ends_with('?') ? "" : ".");
}

// A term and what is said of it.
std::string item(const std::string& term, const std::string& text) {
  return ".TP\n" + term + '\n' + text + '\n';
}

std::string variable(const option& row) {
  return ".br\nEnvironment: " + bold(row.env_name());
}

std::string key_path(const option& row) {
  std::string path;
  for (const auto& part : split_key(row.key)) {
    if (part == "[]") continue;
    (path += path.empty() ? "" : ".") += part == "*" ? "NAME" : part;
  }
  return path;
}

std::string initial(const option& row) {
  if (row.required) return "\nRequired.";
  if (row.initial.empty()) return row.is_list() ? "\nDefault: an empty list." : "";
  return "\nDefault: " + bold(row.initial) + '.';
}

// Of sizes and times the bounds are far away and in small units: they are left to the error
// message.
std::string range(const option& row) {
  if (row.kind != option_kind::integer) return "";
  return " From " + std::to_string(row.min) + " to " + std::to_string(row.max) + '.';
}

std::string choices(const option& row) {
  if (row.choices.empty()) return "";
  return " One of: " + bold(row.choices) + '.';
}

std::string setting(const option& row) {
  std::string term = bold(key_path(row));
  if (!row.argument.empty()) term += " = " + italic(row.argument);
  const auto text = sentence(row.help) + initial(row) + range(row) + choices(row);
  return item(term, text);
}

std::string first_part(const option& row) {
  const auto parts = split_key(row.key);
  return parts.empty() ? "" : parts.front();
}

// The rows of the table by the first part of their key, in the order in which these come up.
std::string all_settings() {
  std::vector<std::string> groups;
  for (const auto& row : options())
    if (const auto group = first_part(row);
        !group.empty() && std::ranges::count(groups, group) == 0)
      groups.push_back(group);
  std::string out;
  for (const auto& group : groups) {
    out += ".SS " + group + '\n';
    for (const auto& row : options())
      if (first_part(row) == group) out += setting(row) + variable(row) + '\n';
  }
  return out;
}

// What an array of tables has beside the settings of a policy.
std::string own_settings(std::span<const option> rows) {
  std::string out;
  for (const auto& row : rows) {
    const auto parts = split_key(row.key);
    const bool of_policy = find_option_by_key(std::vector<std::string>{"policy", parts.back()});
    if (!of_policy && parts.end()[-2] == "[]") out += setting(row);
  }
  return out;
}

std::string topics() {
  std::string names;
  for (const auto name : help_topics()) (names += names.empty() ? "" : " | ") += bold(name);
  return names;
}

}  // namespace

std::string program_page() {
  std::string out =
      title("ICAPGATE", 8) + section("NAME") +
      "icapgate \\- reverse proxy that has an ICAP server scan every response\n" +
      section("SYNOPSIS") + R"(.B icapgate
.RB [ \-\-config
.IR FILE ]
.RI [ OPTION ...]
.br
.B icapgate doctor
.I URL
.br
.B icapgate demo
.RB [ \-\-once ]
.br
.B icapgate health
.RB [ \-\-ready ]
.br
.B icapgate help
.RI [ TOPIC ]
)" + section("DESCRIPTION") +
      R"(.B icapgate
stands in front of a web server, the origin, and takes its clients' connections.
Every response body is sent to a scanner by ICAP (RFC 3507) before a byte of it is delivered.
What the scanner blocks, nobody gets; nor does anybody get what could not be scanned.
.PP
As a service it is started by systemd and reads
.IR /etc/icapgate/icapgate.toml ,
see
.BR icapgate.toml (5).
)" + section("COMMANDS") +
      item(bold("doctor ") + italic("URL"),
           "Sends a scanner EICAR in every wrapping, tells whether it can be trusted "
           "and prints settings for it.") +
      item(bold("demo") + " [" + bold("--once") + ']',
           "Origin, scanner and gateway on loopback, to see it work.") +
      item(bold("health") + " [" + bold("--ready") + ']',
           "Asks the gateway that has the same settings whether it lives, or takes requests. Exit "
           "status 0: it does.") +
      item(bold("help ") + '[' + topics() + ']', "The options, or the settings of one topic.") +
      section("OPTIONS") +
      "A flag beats its environment variable, and that the file.\nThe name of any "
      "variable with\n.B _FILE\nbehind it names a file to read the value from.\n";
  for (const auto& row : options()) {
    if (row.flag.empty()) continue;
    std::string term = bold(row.flag);
    if (!row.argument.empty()) term += ' ' + italic(row.argument);
    std::string text = sentence(row.help) + initial(row);
    if (row.is_list()) text += " May be given several times.";
    out += item(term, text + '\n' + variable(row));
  }
  return out + item(bold("-h") + ", " + bold("--help"), "The options in short.") +
         item(bold("-V") + ", " + bold("--version"), "Versions of the program and its parts.") +
         section("SIGNALS") +
         item(bold("SIGTERM") + ", " + bold("SIGINT"),
              "No new connections; what runs may finish within admin.drain_timeout. A second one "
              "ends at once.") +
         item(bold("SIGHUP"), "Reads the settings and opens the access log anew.") +
         section("EXIT STATUS") + item("0", "It was asked to end, and has.") +
         item("1", "A second signal ended it.") +
         item("69", "An address is taken or not of this machine.") +
         item("70", "A fault of icapgate's own.") +
         item("71", "The system refuses something else.") +
         item("78", "The settings are wrong; standard error says which.") + section("FILES") +
         item(italic("/etc/icapgate/icapgate.toml"), "The settings of the service.") +
         item(italic("/etc/default/icapgate"),
              "Environment variables of the service, which beat that file.") +
         item(italic("/var/cache/icapgate"), "The service's spool; its files have no names.") +
         section("SEE ALSO") + ".BR icapgate.toml (5),\n.BR systemctl (1)\n";
}

std::string settings_page() {
  return title("ICAPGATE.TOML", 5) + section("NAME") + "icapgate.toml \\- settings of icapgate\n" +
         section("DESCRIPTION") +
         R"(The file is TOML 1.0.
Times are like 300ms, 5s, 5m and 1h, sizes like 65536, 64KiB and 10MB.
.I NAME
is a name of your choice.
What is wrong is told with its place, and
.BR icapgate (8)
does not start.
Every setting can come from the environment, too, which beats the file; lists are separated by
commas there.
)" + section("SETTINGS") +
         all_settings() + section("RULES") +
         "Any number of [[policy.rule]], of which the first decides whose conditions all hold.\n"
         "Each may set anew, for the responses that it decides over, what is below\n.B "
         "policy\nfrom mode to block_page.\n" +
         own_settings(rule_options()) + section("ROUTES") +
         "Any number of [[route]]; the most exact host decides, then the longest path.\n"
         "A table\n.B policy\nin one may hold what a rule can change.\n" +
         own_settings(route_options()) + section("FILES") +
         item(italic("/etc/icapgate/icapgate.toml"),
              "As installed, it has every key at its default, with comments.") +
         section("SEE ALSO") + ".BR icapgate (8)\n";
}

std::string write(std::string_view page) {
  if (page == "icapgate.8") return program_page();
  if (page == "icapgate.toml.5") return settings_page();
  if (page == "icapgate.bash") return bash_completion();
  if (page == "_icapgate") return zsh_completion();
  return "";
}

}  // namespace icapgate::manual
