#include "base/log.hpp"

#include "base/characters.hpp"
#include "base/text.hpp"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <memory>

namespace icapgate::log {

namespace {

spdlog::level::level_enum to_spdlog(level at) {
  switch (at) {
    case level::trace:
      return spdlog::level::trace;
    case level::debug:
      return spdlog::level::debug;
    case level::info:
      return spdlog::level::info;
    case level::warn:
      return spdlog::level::warn;
    case level::error:
      break;
  }
  return spdlog::level::err;
}

spdlog::string_view_t view(std::string_view text) {
  return {text.data(), text.size()};
}

}  // namespace

void set_up(std::string_view least) {
  // Colours only where standard error is a terminal: the sink looks.
  auto sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
  auto logger = std::make_shared<spdlog::logger>("icapgate", std::move(sink));
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %^%l%$ %v", spdlog::pattern_time_type::utc);
  logger->set_level(spdlog::level::from_str(std::string(least)));
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(std::move(logger));
}

void set_level(std::string_view least) {
  spdlog::default_logger_raw()->set_level(spdlog::level::from_str(std::string(least)));
}

bool enabled(level at) {
  return spdlog::default_logger_raw()->should_log(to_spdlog(at));
}

void write(level at, std::string_view text) {
  auto* logger = spdlog::default_logger_raw();
  if (std::ranges::all_of(text, is_printable))
    logger->log(to_spdlog(at), view(text));
  else
    logger->log(to_spdlog(at), view(escaped(text)));
}

}  // namespace icapgate::log
