#include "base/config.hpp"

#include "base/config_checks.hpp"
#include "base/config_file.hpp"
#include "base/options.hpp"
#include "base/units.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <utility>

namespace icapgate {

namespace {

constexpr std::string_view env_prefix = "ICAPGATE_";
constexpr std::string_view file_suffix = "_FILE";
constexpr std::size_t largest_value_file = 65536;
constexpr std::size_t largest_settings_file = 1 << 20;
constexpr const char* default_name = "default";

// Takes one of `endings` off, the first that fits.
bool drop_ending(std::string_view& text, std::initializer_list<std::string_view> endings) {
  for (auto ending : endings) {
    if (!text.ends_with(ending)) continue;
    text.remove_suffix(ending.size());
    return true;
  }
  return false;
}

// Kubernetes sets these for a Service whose name is icapgate or begins with icapgate-:
// X_SERVICE_HOST, X_SERVICE_PORT[_NAME], X_PORT=tcp://..., X_PORT_80_TCP[_PROTO|_PORT|_ADDR].
bool is_injected_by_kubernetes(std::string_view name, std::string_view value) {
  if (name.ends_with("_SERVICE_HOST") || name.find("_SERVICE_PORT") != name.npos) return true;
  const bool is_address =
      value.starts_with("tcp://") || value.starts_with("udp://") || value.starts_with("sctp://");
  if (name.ends_with("_PORT") && is_address) return true;
  drop_ending(name, {"_PROTO", "_PORT", "_ADDR"});
  if (!drop_ending(name, {"_TCP", "_UDP", "_SCTP"})) return false;
  const auto digits = name.find_last_not_of("0123456789");
  return digits != name.npos && digits + 1 < name.size() &&
         name.substr(0, digits + 1).ends_with("_PORT_");
}

bool is_default(const route& r) {
  return r.hosts.empty() && r.path.empty();
}

bool share_a_host(const route& a, const route& b) {
  const auto has = [&](const std::string& host) { return std::ranges::count(b.hosts, host) > 0; };
  return (a.hosts.empty() && b.hosts.empty()) || std::ranges::any_of(a.hosts, has);
}

bool serve_the_same(const route& a, const route& b) {
  return a.path == b.path && share_a_host(a, b);
}

bool share_an_origin(const route& a, const route& b) {
  return std::ranges::any_of(a.origins, [&](const url& one) {
    return std::ranges::count(b.origins, one.to_string(), &url::to_string) > 0;
  });
}

bool is_label(std::string_view name) {
  return std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  });
}

bool is_config_row(const option& row) {
  return row.flag == "--config";
}

// Puts the sources together. One use: load().
class loader {
 public:
  explicit loader(const settings_sources& from) : from_(from) {}

  settings load() {
    std::vector<raw_setting> environment, flags;
    raw_settings file;
    read_environment(environment);
    read_flags(flags);
    read_file(environment, flags, file);
    note_tables(file.listeners, [](const raw_table& t, auto) { return "listen." + t.name; });
    note_tables(file.rules, [](auto&, auto i) { return "policy.rule[" + std::to_string(i) + ']'; });
    note_tables(file.routes, [](auto&, auto i) { return "route[" + std::to_string(i) + ']'; });
    add_listeners(file.listeners);
    for (const auto* level : {&file.once, &environment, &flags})
      for (const auto& s : *level) apply(s);
    if (out_.values.debug_fallback) out_.values.scan_policy.on_error = remedy::pass;
    for (const auto& table : file.rules) add_rule(table, &table == &file.rules.back());
    for (const auto& table : file.routes) add_route(table);
    complete_default_route();
    warn_of_routes(file.routes);
    for (auto& r : out_.values.routes) add_rules(r, file.rules);
    // What is missing may well be in the file that could not be read.
    if (!file_failed_ && from_.whole) check_required();
    warn_of_unused_scanners();
    check_whole(out_, places_);
    return std::move(out_);
  }

 private:
  void complain(const std::string& place, const std::string& what) {
    out_.problems.push_back(place + ": " + what);
  }

  void refuse(const option& row, const std::string& place, const std::string& what) {
    complain(place, what);
    refused_.insert(&row);
  }

  void read_flags(std::vector<raw_setting>& found) {
    for (const auto& [flag, values] : from_.flags) {
      const auto* row = find_option_by_flag(flag);
      if (!row)
        complain(flag, "unknown option");
      else if (!row->is_list() && values.size() > 1)
        refuse(*row, flag, "given more than once");
      else if (std::ranges::find(values, "") != values.end())
        refuse(*row, flag, "is empty");
      else
        found.push_back({row, values, flag});
    }
  }

  void read_environment(std::vector<raw_setting>& found) {
    for (const auto& [name, value] : from_.environment) {
      if (!std::string_view(name).starts_with(env_prefix) || value.empty()) continue;
      if (const auto* row = find_option_by_env(name))
        found.push_back({row, texts(*row, value), name});
      else if (const auto* named = find_value_file_row(name))
        read_value_file(*named, name, value, found);
      else if (!is_injected_by_kubernetes(name, value))
        complain(name, "unknown environment variable" + suggestion(name));
    }
  }

  static std::vector<std::string> texts(const option& row, const std::string& value) {
    return row.is_list() ? split_list(value) : std::vector{value};
  }

  static std::string suggestion(const std::string& name) {
    std::vector<std::string> names;
    for (const auto& row : options()) names.push_back(row.env_name());
    const auto near = nearest(name, names);
    return near.empty() ? "" : "; did you mean " + std::string(near) + '?';
  }

  // ICAPGATE_CONFIG_FILE would read as the file's name, not as a file that holds its name.
  static const option* find_value_file_row(std::string_view name) {
    if (!drop_ending(name, {file_suffix})) return nullptr;
    const auto* row = find_option_by_env(name);
    return row && !is_config_row(*row) ? row : nullptr;
  }

  void read_value_file(const option& row, const std::string& name, const std::string& path,
                       std::vector<raw_setting>& found) {
    const bool twice = std::ranges::any_of(from_.environment, [&](const auto& other) {
      return other.first == row.env_name() && !other.second.empty();
    });
    if (twice) return refuse(row, name, "conflicts with " + row.env_name() + "; set one of them");
    std::string why;
    auto text = read_whole_file(path, largest_value_file, why);
    if (!text) return refuse(row, name, in_quotes(path) + ' ' + why);
    if (row.is_list()) std::ranges::replace(*text, '\n', ',');
    while (text->ends_with('\n') || text->ends_with('\r')) text->pop_back();
    found.push_back({&row, texts(row, *text), name + " (" + path + ')'});
  }

  void read_file(std::vector<raw_setting>& environment, std::vector<raw_setting>& flags,
                 raw_settings& file) {
    std::string place;
    for (auto* level : {&environment, &flags}) {
      for (const auto& s : *level) {
        if (!is_config_row(*s.row) || s.values.empty()) continue;
        place = s.place;
        out_.file = s.values.front();
      }
    }
    if (place.empty()) return;
    std::string why;
    const auto text = read_whole_file(out_.file, largest_settings_file, why);
    if (!text) complain(place, in_quotes(out_.file) + ' ' + why);
    file_failed_ = !text || !read_settings_text(*text, out_.file, file, out_.problems);
  }

  template <class Name>
  void note_tables(const std::vector<raw_table>& tables, Name name) {
    for (std::size_t i = 0; i < tables.size(); ++i)
      for (const auto& s : tables[i].settings) note(s, name(tables[i], i));
  }

  // Below `table` the key's own name counts; without one its path.
  void note(const raw_setting& setting, const std::string& table) {
    std::string key(setting.row->key.empty() ? setting.row->flag : setting.row->key);
    const auto own = key.find(table.starts_with("listen.") ? ".*." : "[].");
    if (!table.empty() && own != key.npos) key = table + key.substr(own + 2);
    auto& text = out_.given[key];
    text.clear();
    for (const auto& value : setting.values) text += (text.empty() ? "" : ", ") + in_quotes(value);
  }

  void add_listeners(const std::vector<raw_table>& tables) {
    if (tables.empty()) return;
    auto& all = out_.values.listeners;
    all.clear();
    for (const auto& table : tables) {
      listener made;
      made.name = table.name;
      places_.of_listeners[{made.name, nullptr}] = table.place;
      for (const auto& s : table.settings) {
        for (const auto& what : store(*s.row, s.values, made)) refuse(*s.row, s.place, what);
        places_.of_listeners[{made.name, s.row}] = s.place;
      }
      if (!is_label(made.name)) complain(table.place, "has a name with other than a-z A-Z 0-9 - _");
      all.push_back(std::move(made));
    }
  }

  // Flags and the environment don't say which of several listeners they mean.
  void apply(const raw_setting& setting) {
    auto& listeners = out_.values.listeners;
    if (setting.row->sets_listener() && listeners.size() > 1)
      return refuse(*setting.row, setting.place,
                    "does not tell which of the file's listeners it is for; set it in the file");
    if (setting.row->sets_listener())
      places_.of_listeners[{listeners.front().name, setting.row}] = setting.place;
    note(setting, {});
    const auto problems = store(*setting.row, setting.values, out_.values);
    for (const auto& what : problems) refuse(*setting.row, setting.place, what);
    places_.once[setting.row] = setting.place;
  }

  // After all else: what a rule doesn't name is the base's, wherever that comes from.
  void add_rule(const raw_table& table, bool last) {
    rule made;
    made.effects = out_.values.scan_policy;
    bool reason = false, condition = false;
    for (const auto& s : table.settings) {
      for (const auto& what : store(*s.row, s.values, made)) complain(s.place, what);
      reason = reason || s.row->required;
      condition = condition || !(s.row->required || s.row->sets_policy());
    }
    if (!reason && table.whole)
      complain(table.place, "has no reason, which the log and the metrics show");
    if (!condition && !last && table.whole)
      complain(table.place, "has no condition, so that the rules below it never decide");
    check_rule(made, table.place);
    warn_of_rule(made, table.place, out_.values.scan_policy);
    out_.values.rules.push_back(std::move(made));
  }

  // What it doesn't name is the base's, too.
  void add_route(const raw_table& table) {
    route made;
    made.base = out_.values.scan_policy;
    made.limits = out_.values.limits;
    bool whole = table.whole;
    for (const auto& s : table.settings) {
      const auto problems = store(*s.row, s.values, made);
      for (const auto& what : problems) refuse(*s.row, s.place, what);
      whole = whole && problems.empty();
    }
    complete_scanners(made, table, whole);
    if (whole && made.origins.empty() && !is_default(made)) complain(table.place, "has no origin");
    if (made.name.empty()) made.name = (made.hosts.empty() ? "" : made.hosts.front()) + made.path;
    if (made.name.empty()) made.name = default_name;
    const auto same = [&](const route& other) { return serve_the_same(made, other); };
    if (whole && std::ranges::any_of(out_.values.routes, same))
      complain(table.place, "has a host and path that a [[route]] above it has");
    out_.values.routes.push_back(std::move(made));
  }

  void complete_scanners(route& made, const raw_table& table, bool whole) {
    const bool named = std::ranges::any_of(
        table.settings, [](const raw_setting& s) { return s.row->kind == option_kind::url_list; });
    if (named && whole && made.scanners.empty())
      complain(table.place, "has scanners that stand by, and no others (scanner.servers)");
    if (named) return;
    made.scanners = out_.values.scanners;
    base_scanners_used_ = base_scanners_used_ || table.whole;
  }

  // Flags and the environment name its origins, in place of the file.
  void complete_default_route() {
    auto& v = out_.values;
    const auto found = std::ranges::find_if(v.routes, is_default);
    if (found == v.routes.end()) {
      if (v.origins.empty()) return;
      v.routes.push_back(
          {default_name, {}, {}, v.origins, v.scanners, v.scan_policy, {}, v.limits});
      base_scanners_used_ = true;
    } else if (v.origins.empty()) {
      v.origins = found->origins;
    } else {
      found->origins = v.origins;
    }
  }

  // What is wrong with them has been told.
  void add_rules(route& to, const std::vector<raw_table>& tables) {
    for (const auto& table : tables) {
      auto& made = to.rules.emplace_back();
      made.effects = to.base;
      for (const auto& s : table.settings) store(*s.row, s.values, made);
      warn_of_rule(made, table.place, to.base);
    }
  }

  void check_rule(const rule& made, const std::string& place) {
    if (made.min_size && made.max_size && *made.min_size > *made.max_size)
      complain(place, "min_size is larger than max_size");
    if (made.effects.upgrade && made.needs_response())
      complain(place,
               "upgrade is decided before there is a response: status, media_type, min_size and "
               "max_size can't be asked for");
  }

  void warn_of_rule(const rule& made, const std::string& place, const policy& over) {
    const auto base = over.mode;
    if (made.effects.mode == scan_mode::off && base != scan_mode::off && !made.media_types.empty())
      warn(place,
           "skips the scan by media type, which whoever uploads a file can often choose: "
           "malware that calls itself so is delivered");
    if (made.effects.mode < base && !made.paths.empty())
      warn(place,
           "is stricter than the base for some paths, and is evaded by writing them otherwise "
           "(%61 for a): make the base strict, and the exceptions rules");
  }

  // A path that could be read in two ways goes to a route without one. Those of the file stand
  // first among the routes, in its order.
  void warn_of_routes(const std::vector<raw_table>& tables) {
    const auto evaded = [](const route& a, const route& by) {
      return !a.path.empty() && by.path.empty() && a.base.mode < by.base.mode &&
             (by.hosts.empty() || share_a_host(a, by)) && share_an_origin(a, by);
    };
    const auto& routes = out_.values.routes;
    for (std::size_t i = 0; i < tables.size(); ++i)
      for (const auto& other : routes)
        if (evaded(routes[i], other))
          warn(tables[i].place, "is stricter than the route \"" + other.name +
                                    "\", which has an origin in common with it and no path: it is "
                                    "evaded by writing the path otherwise (//)");
  }

  void warn(const std::string& place, const std::string& what) { warn_once(out_, place, what); }

  bool is_unset(const option& row) const {
    const auto texts = show(row, out_.values);
    return texts.empty() || texts.front().empty();
  }

  // Whoever names scanners means that something goes there.
  void warn_of_unused_scanners() {
    const auto& v = out_.values;
    if (v.scanners.empty() || !needs_no_base_scanner() || !out_.problems.empty()) return;
    warn(places_.of("scanner.*.servers"),
         "each [[route]] has scanners of its own: none uses these");
  }

  // Where there are routes, only a default one among them can want for origins that nobody told of.
  bool has_origins() const {
    const auto& routes = out_.values.routes;
    return !routes.empty() && std::ranges::none_of(routes, [](const route& r) {
      return is_default(r) && r.origins.empty();
    });
  }

  bool needs_no_base_scanner() const { return !out_.values.routes.empty() && !base_scanners_used_; }

  // What somebody tried to set, badly, has been told already.
  void check_required() {
    std::string_view hint = "; or try \"icapgate demo\", which needs no settings";
    for (const auto& row : options()) {
      if (!row.required || refused_.contains(&row) || !is_unset(row)) continue;
      if (row.kind == option_kind::origin_list && has_origins()) continue;
      if (row.kind == option_kind::url_list && needs_no_base_scanner()) continue;
      const std::string flag(row.flag), help(row.help), argument(row.argument);
      const std::string key(row.key.substr(row.key.rfind('.') + 1));
      complain("no " + flag.substr(2), "give " + flag + ' ' + argument + ", " + row.env_name() +
                                           " or \"" + key + "\" in the file: " + help +
                                           std::string(std::exchange(hint, {})));
    }
  }

  const settings_sources& from_;
  settings out_;
  setting_places places_;
  std::set<const option*> refused_;
  bool file_failed_ = false;
  bool base_scanners_used_ = false;  // by a route that names none
};

}  // namespace

settings load_settings(const settings_sources& from) {
  return loader(from).load();
}

std::vector<std::string> differences(const settings& before, const settings& now) {
  std::vector<std::string> lines;
  for (const auto& [key, value] : now.given) {
    const auto was = before.given.find(key);
    if (was == before.given.end())
      lines.push_back(key + ": " + value + ", before: not set");
    else if (was->second != value)
      lines.push_back(key + ": " + value + ", before: " + was->second);
  }
  for (const auto& [key, value] : before.given)
    if (!now.given.contains(key)) lines.push_back(key + ": not set, before: " + value);
  return lines;
}

}  // namespace icapgate
