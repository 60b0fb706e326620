// Every setting of the program, each defined in one row: flag, environment variable, TOML key,
// kind, range, default, help line, and the member of `config`, `listener`, `scanner_group`,
// `route_limits`, `policy`, `rule` or `route` that it sets.
#pragma once

#include "base/config.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace icapgate {

// A scanner that is part of the program, in place of an icap:// URL.
inline constexpr std::string_view embedded_scheme = "embedded:";

enum class option_kind : std::uint8_t {
  endpoint,  // HOST:PORT, or "off" where the member is optional
  origin_list,
  url_list,  // scanners
  port_list,
  hash_list,  // SHA-256, hexadecimal
  boolean,
  integer,
  size,
  duration,
  choice,  // one of `choices`
  choice_list,
  path,  // any text without control characters
  file_list,
  network_list,
  server_list,  // DNS: ADDRESS[:PORT]
  label,        // a short text for logs and metrics
  method_list,
  path_prefix,
  path_list,  // patterns, as those below
  host_list,
  status_list,
  media_type_list,
};

// Where a row's value lives: in `config`, in a listener, in what routes may have of their own
// (scanners, limits), in a policy (the base, a route's or a rule's), in a rule or in a route.
template <class T>
using member = T& (*)(config&);
template <class T>
using listener_member = T& (*)(listener&);
template <class T>
using scanner_member = T& (*)(scanner_group&);
template <class T>
using limit_member = T& (*)(route_limits&);
template <class T>
using policy_member = T& (*)(policy&);
template <class T>
using rule_member = T& (*)(rule&);
template <class T>
using route_member = T& (*)(route&);

using option_target = std::variant<
    std::monostate, listener_member<endpoint>, listener_member<std::vector<network>>,
    listener_member<std::vector<std::string>>, listener_member<std::string>, listener_member<bool>,
    member<std::optional<endpoint>>, member<std::vector<url>>, member<std::vector<std::uint16_t>>,
    member<std::vector<std::string>>, member<std::vector<endpoint>>, member<bool>, member<unsigned>,
    member<std::size_t>, member<std::chrono::milliseconds>, member<std::string>,
    scanner_member<std::vector<url>>, limit_member<std::chrono::milliseconds>,
    limit_member<std::uint64_t>, policy_member<scan_mode>, policy_member<remedy>,
    policy_member<delivery_mode>, policy_member<range_mode>, policy_member<encoding_mode>,
    policy_member<page_source>, policy_member<bool>, policy_member<unsigned>,
    policy_member<std::uint64_t>, policy_member<std::chrono::milliseconds>,
    rule_member<std::string>, rule_member<std::vector<std::string>>,
    rule_member<std::vector<unsigned>>, rule_member<std::optional<std::uint64_t>>,
    route_member<std::string>, route_member<std::vector<std::string>>>;

struct option {
  // TOML key path; "*" is a name that the user chooses, "[]" an array of tables. Empty: not in the
  // file.
  std::string_view key{};
  std::string_view flag{};       // with its dashes; empty: none
  std::string_view short_env{};  // without ICAPGATE_; empty: the name is made from the key
  option_kind kind = option_kind::path;
  std::string_view argument{};  // what --help calls the value
  std::string_view initial{};   // the default as a user would write it; a list separated by commas
  std::string_view help{};
  option_target target{};  // none: --config, which no other part of the program needs
  std::uint64_t min = 0;   // integer, size (bytes), duration (milliseconds), ports
  std::uint64_t max = 0;
  std::string_view choices{};  // separated by blanks; of an enumeration: in its order
  bool required = false;

  bool is_list() const;
  bool sets_policy() const;    // a member of `policy`
  bool sets_listener() const;  // a member of `listener`
  // ICAPGATE_LOG_LEVEL, ICAPGATE_SCANNER__TIMEOUT__CONNECT: free names are left out.
  std::string env_name() const;
};

// The table of what is set once.
std::span<const option> options();

// What each [[policy.rule]] may hold: its reason, its conditions, and every row above that sets a
// member of `policy`. In the file only.
std::span<const option> rule_options();

// What each [[route]] may hold beside its origins: name, host, path, every row above that sets a
// member of `route_limits` or, in a table `scanner`, of `scanner_group`, and in a table `policy`
// what a rule may change. In the file only.
std::span<const option> route_options();

const option* find_option_by_flag(std::string_view flag);
const option* find_option_by_env(std::string_view name);

// The path of a key in a file, already split: "listen", "public", "address". An index into an array
// of tables counts as "[]". Rows of all three tables are found.
const option* find_option_by_key(std::span<const std::string> path);

// Whether some row's key lies below that path.
bool is_key_prefix(std::span<const std::string> path);

std::vector<std::string> split_key(std::string_view key);

// Sets the row's member from `values` (one text, or any number for a list); a listener's in the
// first one. Each problem is one
// sentence that quotes the value; if there is any, the member is unchanged.
std::vector<std::string> store(const option& row, std::span<const std::string> values,
                               config& into);
std::vector<std::string> store(const option& row, std::span<const std::string> values,
                               listener& into);
std::vector<std::string> store(const option& row, std::span<const std::string> values, rule& into);
// Takes the row of its origins, too.
std::vector<std::string> store(const option& row, std::span<const std::string> values, route& into);

// The row's value as the texts that store() would take, a listener's of the first one; nothing for
// a row of a rule's or a route's own.
std::vector<std::string> show(const option& row, const config& from);

// Splits at commas, removes blanks around each, drops empty ones.
std::vector<std::string> split_list(std::string_view text);

// The text in quotes, shortened, control characters escaped, passwords in URLs left out.
std::string in_quotes(std::string_view text);

// The candidate that `text` is most likely a slip of; empty if none is near.
std::string_view nearest(std::string_view text, std::span<const std::string> candidates);

}  // namespace icapgate
