#include "base/config_file.hpp"

#include <toml++/toml.h>

#include <cerrno>
#include <fstream>
#include <span>
#include <system_error>
#include <utility>

namespace icapgate {

namespace {

using key_path = std::vector<std::string>;

// "listen.public.address"; what lies in an array of tables reads "route.origin".
std::string joined(std::span<const std::string> path) {
  std::string text;
  for (const auto& part : path) {
    if (part == "[]") continue;
    if (!text.empty()) text += '.';
    text += part;
  }
  return text;
}

std::string heading(const key_path& table) {
  if (table.empty()) return {};
  return table.back() == "[]" ? " in [[" + joined(table) + "]]" : " in [" + joined(table) + ']';
}

// What may stand directly below `table`, in the order of the rows.
key_path names_below(const key_path& table) {
  key_path names;
  for (const auto rows : {options(), rule_options(), route_options()}) {
    for (const auto& row : rows) {
      const auto pattern = split_key(row.key);
      if (pattern.size() <= table.size()) continue;
      bool same = true;
      for (std::size_t i = 0; i < table.size(); ++i)
        same = same && (pattern[i] == table[i] || (pattern[i] == "*" && table[i] != "[]"));
      if (same) names.push_back(pattern[table.size()]);
    }
  }
  return names;
}

bool takes_free_name(const key_path& table) {
  const auto names = names_below(table);
  return !names.empty() && names.front() == "*";
}

bool is_array_of_tables(const key_path& path) {
  const auto names = names_below(path);
  return !names.empty() && names.front() == "[]";
}

std::string with_placeholder(std::string_view key) {
  key_path parts = split_key(key);
  for (auto& p : parts)
    if (p == "*") p = "NAME";
  return joined(parts);
}

// A key that stands in the wrong table: the rows that end with its name.
std::string same_name_elsewhere(const std::string& name) {
  for (const auto rows : {options(), rule_options(), route_options()}) {
    for (const auto& row : rows) {
      const auto parts = split_key(row.key);
      if (!parts.empty() && parts.back() == name) return with_placeholder(row.key);
    }
  }
  return {};
}

std::string suggestion(const key_path& table, const std::string& name) {
  std::string best(nearest(name, names_below(table)));
  if (best.empty() || best == "*" || best == "[]") best = same_name_elsewhere(name);
  return best.empty() ? "" : "; did you mean \"" + best + "\"?";
}

// Walks the tables of one file; nothing of it outlives read_settings_text().
class reader {
 public:
  reader(const std::string& name, raw_settings& found, std::vector<std::string>& problems)
      : name_(name), found_(found), problems_(problems) {}

  void read(const toml::table& table, const key_path& path) {
    bool first = true;
    for (const auto& [key, node] : table) {
      key_path here = path;
      here.emplace_back(key.str());
      if (takes_free_name(path) && node.is_table() && joined(path) == "listen")
        read_table(*node.as_table(), here, "[" + joined(here) + "]", found_.listeners);
      else if (takes_free_name(path) && node.is_table() && !std::exchange(first, false))
        complain(key.source(), "only one [" + joined(path) + ".NAME] is supported");
      else
        read(key, node, here, path);
    }
  }

 private:
  void read(const toml::key& key, const toml::node& node, const key_path& here,
            const key_path& parent) {
    if (const auto* row = find_option_by_key(here))
      read_value(*row, node, here);
    else if (takes_free_name(parent) && !node.is_table())
      complain(key.source(), "\"" + here.back() +
                                 "\" belongs in a table with a name of your choice, "
                                 "such as [" +
                                 joined(parent) + ".main]");
    else if (is_array_of_tables(here))
      read_array_of_tables(key, node, here);
    else if (!is_key_prefix(here))
      complain(key.source(), "unknown key " + in_quotes(here.back()) + heading(parent) +
                                 suggestion(parent, here.back()));
    else if (const auto* table = node.as_table())
      read(*table, here);
    else
      complain(key.source(), "\"" + joined(here) + "\" must be a table");
  }

  void read_array_of_tables(const toml::key& key, const toml::node& node, key_path here) {
    const auto* array = node.as_array();
    if (!array || !array->is_homogeneous(toml::node_type::table)) {
      complain(key.source(), "\"" + joined(here) + "\" must be written with two brackets: [[" +
                                 joined(here) + "]]");
      return;
    }
    read_tables(*array, here, joined(here) == "route" ? found_.routes : found_.rules);
  }

  void read_tables(const toml::array& array, key_path here, std::vector<raw_table>& into) {
    here.emplace_back("[]");
    for (const auto& table : array)
      read_table(*table.as_table(), here, "[[" + joined(here) + "]]", into);
  }

  void read_table(const toml::table& table, const key_path& here, const std::string& called,
                  std::vector<raw_table>& into) {
    auto& made = into.emplace_back();
    made.place = place(table.source()) + ": " + called;
    made.name = here.back();
    target_ = &made.settings;
    const auto problems_before = problems_.size();
    read(table, here);
    made.whole = problems_.size() == problems_before;
    target_ = &found_.once;
  }

  void read_value(const option& row, const toml::node& node, const key_path& here) {
    raw_setting made{&row, {}, place(node.source()) + ": " + joined(here)};
    const auto* array = node.as_array();
    if (array && !row.is_list()) {
      problems_.push_back(made.place + ": takes one value, not a list");
      return;
    }
    bool good = true;
    if (array)
      for (const auto& item : *array) good = add_text(item, made) && good;
    else
      good = add_text(node, made);
    if (good) target_->push_back(std::move(made));
  }

  bool add_text(const toml::node& node, raw_setting& to) {
    if (const auto* text = node.as_string())
      to.values.push_back(text->get());
    else if (const auto* number = node.as_integer())
      to.values.push_back(std::to_string(number->get()));
    else if (const auto* truth = node.as_boolean())
      to.values.emplace_back(truth->get() ? "true" : "false");
    else {
      problems_.push_back(to.place + ": must be text, a whole number, true or false");
      return false;
    }
    return true;
  }

  std::string place(const toml::source_region& where) const {
    return name_ + ':' + std::to_string(where.begin.line) + ':' +
           std::to_string(where.begin.column);
  }

  void complain(const toml::source_region& where, const std::string& what) {
    problems_.push_back(place(where) + ": " + what);
  }

  const std::string& name_;
  raw_settings& found_;
  std::vector<raw_setting>* target_ = &found_.once;
  std::vector<std::string>& problems_;
};

}  // namespace

bool read_settings_text(std::string_view text, const std::string& name, raw_settings& found,
                        std::vector<std::string>& problems) {
  try {
    const toml::table table = toml::parse(text, name);
    reader(name, found, problems).read(table, {});
    return true;
  } catch (const toml::parse_error& e) {
    const auto& at = e.source().begin;
    problems.push_back(name + ':' + std::to_string(at.line) + ':' + std::to_string(at.column) +
                       ": " + std::string(e.description()));
    return false;
  }
}

std::optional<std::string> read_whole_file(const std::string& path, std::size_t limit,
                                           std::string& why) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string text(limit + 1, '\0');
  // Opening a directory succeeds, reading it does not.
  if (!file || (file.read(text.data(), static_cast<std::streamsize>(text.size())), file.bad())) {
    why = "cannot be read: " + std::generic_category().message(errno ? errno : EIO);
    return std::nullopt;
  }
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() <= limit) return text;
  why = "is larger than " + std::to_string(limit) + " bytes";
  return std::nullopt;
}

}  // namespace icapgate
