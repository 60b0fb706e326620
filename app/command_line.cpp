#include "command_line.hpp"

#include "base/help.hpp"
#include "base/options.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <map>
#include <string_view>

namespace icapgate {

namespace {

// The words for CLI11, and the flags that came without a value. CLI11 takes `--flag=` for a flag
// whose value is the next word, whatever that is, and `--debug-fallback=` for yes.
struct words {
  std::vector<std::string> filled;
  std::vector<std::string> empty;
};

bool is_flag(std::string_view word) {
  return word.starts_with("--") && word.size() > 2;
}

words set_apart(const std::vector<std::string>& all) {
  words out;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::string name = all[i].substr(0, all[i].find('='));
    const auto* row = find_option_by_flag(name);
    if (row && all[i] == name + '=') {
      out.empty.push_back(name);
    } else if (!row || row->kind == option_kind::boolean || all[i] != name) {
      out.filled.push_back(all[i]);
    } else if (i + 1 == all.size() || is_flag(all[i + 1])) {
      out.empty.push_back(name);
    } else if (const auto& value = all[++i]; value.empty()) {
      out.empty.push_back(name);
    } else {
      out.filled.insert(out.filled.end(), {name, value});
    }
  }
  return out;
}

std::string suggestion(const std::string& text) {
  std::vector<std::string> flags{"--help", "--version"};
  for (const auto& row : options())
    if (!row.flag.empty()) flags.emplace_back(row.flag);
  const auto near = nearest(text.substr(0, text.find('=')), flags);
  return near.empty() ? "; see icapgate --help" : "; did you mean " + std::string(near) + '?';
}

// Of the commands that work with the gateway's settings.
std::string_view name_of(command what) {
  if (what == command::doctor) return "doctor";
  return what == command::health ? "health" : "";
}

std::string objection(const std::string& text, bool is_option, command what) {
  if (what == command::demo) return "demo takes only --once";
  const auto name = text.substr(0, text.find('='));
  if (is_option && !name_of(what).empty() && find_option_by_flag(name))
    return "is to stand in front of the command: icapgate " + name + " ... " +
           std::string(name_of(what));
  if (is_option) return "unknown option" + suggestion(text);
  return "unexpected argument; see icapgate --help";
}

// What no option took. The word after an unknown option is most likely its value.
void complain_about(const std::vector<std::string>& rest, command_line& line) {
  bool after_unknown = false;
  for (const auto& text : rest) {
    const bool is_option = text.starts_with('-') && text.size() > 1;
    if (is_option || !after_unknown)
      line.problems.push_back(in_quotes(text) + ": " + objection(text, is_option, line.what));
    after_unknown = is_option && text.find('=') == text.npos;
  }
}

// One CLI11 application built from the table.
class parser {
 public:
  parser() : app_("icapgate") {
    app_.set_help_flag();
    app_.allow_extras();
    help_ = app_.add_flag("-h,--help");
    version_ = app_.add_flag("-V,--version");
    for (const auto& row : options())
      if (!row.flag.empty()) add(row);
    demo_ = app_.add_subcommand("demo");
    demo_->set_help_flag();
    demo_->allow_extras();
    once_ = demo_->add_flag("--once");
    demo_help_ = demo_->add_flag("-h,--help");
    doctor_ = app_.add_subcommand("doctor");
    doctor_->set_help_flag();
    doctor_->allow_extras();
    doctor_->add_option("URL", patient_.scanner);
    doctor_->add_option("--vendor", patient_.vendor);
    doctor_->add_option("--ca", patient_.ca);
    doctor_->add_option("--config", config_);
    doctor_->add_option("--timeout", patient_.timeout);
    doctor_->add_option("--max-size", patient_.max_size);
    doctor_->add_flag("--ladder", patient_.ladder);
    doctor_help_ = doctor_->add_flag("-h,--help");
    health_ = app_.add_subcommand("health");
    health_->set_help_flag();
    health_->allow_extras();
    ready_ = health_->add_flag("--ready");
    health_->add_option("--config", config_);
    health_help_ = health_->add_flag("-h,--help");
    help_command_ = app_.add_subcommand("help");
    help_command_->set_help_flag();
    help_command_->add_option("topic", topic_text_);
  }

  command_line parse(int argc, const char* const* argv) {
    command_line out;
    auto [filled, empty] = set_apart({argv + std::min(argc, 1), argv + argc});
    std::ranges::reverse(filled);  // as CLI11 wants them
    try {
      app_.parse(filled);
    } catch (const CLI::ParseError& e) {
      out.complete = false;
      out.problems.emplace_back(e.what());
      return out;
    }
    out.what = chosen(out.problems);
    out.once = once_->count() > 0;
    out.ready = ready_->count() > 0;
    out.topic = topic_text_;
    out.doctor = patient_;
    if (!config_.empty()) out.flags.emplace_back("--config", std::vector{config_});
    for (const auto& flag : empty) out.flags.emplace_back(flag, std::vector<std::string>{""});
    for (const auto& [flag, option] : flags_)
      if (option->count() > 0) out.flags.emplace_back(flag, option->results());
    if (out.what == command::demo)
      for (const auto& [flag, values] : out.flags) complain_about({flag}, out);
    complain_about(app_.remaining(true), out);
    return out;
  }

 private:
  void add(const option& row) {
    const std::string name(row.flag);
    if (row.kind == option_kind::boolean)
      flags_[name] = app_.add_flag(name)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    else
      // One value for each time that the flag is given: a repeated flag is judged with its row.
      flags_[name] = app_.add_option(name)
                         ->type_name(std::string(row.argument))
                         ->expected(1)
                         ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  }

  command chosen(std::vector<std::string>& problems) const {
    for (const auto* flag : {help_, demo_help_, doctor_help_, health_help_})
      if (flag->count() > 0) return command::help;
    if (version_->count() > 0) return command::version;
    if (demo_->parsed()) return command::demo;
    if (doctor_->parsed()) return command::doctor;
    if (health_->parsed()) return command::health;
    if (!help_command_->parsed()) return command::serve;
    if (!topic_text_.empty() && !help_about(topic_text_)) {
      std::string names;
      for (const auto name : help_topics()) (names += names.empty() ? "" : ", ") += in_quotes(name);
      problems.push_back("help: unknown topic " + in_quotes(topic_text_) + "; there are " + names);
    }
    return command::help;
  }

  CLI::App app_;
  CLI::Option* help_ = nullptr;
  CLI::Option* version_ = nullptr;
  CLI::App* demo_ = nullptr;
  CLI::Option* once_ = nullptr;
  CLI::Option* demo_help_ = nullptr;
  CLI::App* doctor_ = nullptr;
  CLI::Option* doctor_help_ = nullptr;
  std::string config_;  // behind "doctor" or "health"
  doctor::arguments patient_;
  CLI::App* health_ = nullptr;
  CLI::Option* ready_ = nullptr;
  CLI::Option* health_help_ = nullptr;
  CLI::App* help_command_ = nullptr;
  std::string topic_text_;
  std::map<std::string, CLI::Option*> flags_;
};

}  // namespace

command_line parse_command_line(int argc, const char* const* argv) {
  return parser().parse(argc, argv);
}

}  // namespace icapgate
