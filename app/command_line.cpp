#include "command_line.hpp"

#include "base/options.hpp"

#include <CLI/CLI.hpp>

#include <map>
#include <string_view>

namespace icapgate {

namespace {

std::string suggestion(const std::string& text) {
  std::vector<std::string> flags{"--help", "--version"};
  for (const auto& row : options())
    if (!row.flag.empty()) flags.emplace_back(row.flag);
  const auto near = nearest(text.substr(0, text.find('=')), flags);
  return near.empty() ? "; see icapgate --help" : "; did you mean " + std::string(near) + '?';
}

// What no option took. The word after an unknown option is most likely its value.
void complain_about(const std::vector<std::string>& rest, std::vector<std::string>& problems) {
  bool after_unknown = false;
  for (const auto& text : rest) {
    const bool is_option = text.starts_with('-') && text.size() > 1;
    if (is_option)
      problems.push_back(in_quotes(text) + ": unknown option" + suggestion(text));
    else if (!after_unknown)
      problems.push_back(in_quotes(text) + ": unexpected argument; see icapgate --help");
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
    help_command_ = app_.add_subcommand("help");
    help_command_->set_help_flag();
    help_command_->add_option("topic", topic_text_);
  }

  command_line parse(int argc, const char* const* argv) {
    command_line out;
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
      out.complete = false;
      out.problems.emplace_back(e.what());
      return out;
    }
    out.what = chosen(out.problems);
    out.once = once_->count() > 0;
    complain_about(app_.remaining(true), out.problems);
    for (const auto& [flag, option] : flags_)
      if (option->count() > 0) out.flags.emplace_back(flag, option->results());
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
                         ->expected(1, max_values)
                         ->allow_extra_args(false)
                         ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  }

  command chosen(std::vector<std::string>& problems) const {
    if (help_->count() > 0 || demo_help_->count() > 0) return command::help;
    if (version_->count() > 0) return command::version;
    if (demo_->parsed()) return command::demo;
    if (!help_command_->parsed()) return command::serve;
    if (topic_text_.empty()) return command::help;
    if (topic_text_ == "limits") return command::help_limits;
    problems.push_back("help: unknown topic " + in_quotes(topic_text_) + "; there is \"limits\"");
    return command::help;
  }

  static constexpr int max_values = 1000;

  CLI::App app_;
  CLI::Option* help_ = nullptr;
  CLI::Option* version_ = nullptr;
  CLI::App* demo_ = nullptr;
  CLI::Option* once_ = nullptr;
  CLI::Option* demo_help_ = nullptr;
  CLI::App* help_command_ = nullptr;
  std::string topic_text_;
  std::map<std::string, CLI::Option*> flags_;
};

}  // namespace

command_line parse_command_line(int argc, const char* const* argv) {
  return parser().parse(argc, argv);
}

}  // namespace icapgate
