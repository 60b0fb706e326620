// JSON objects of one level, written by hand: pure ASCII and valid whatever bytes the texts hold.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace icapgate {

// Builds {"a":1,"b":"x"}; keys are ours and need no escape.
class json_object {
 public:
  json_object& add(std::string_view key, std::string_view text);
  json_object& add(std::string_view key, std::uint64_t number);
  // With three decimals.
  json_object& add(std::string_view key, std::chrono::duration<double, std::milli> time);
  json_object& add_flag(std::string_view key, bool value);
  json_object& add_null(std::string_view key);
  // `json`: a value that is whole.
  json_object& add_raw(std::string_view key, std::string_view json);
  std::string end() { return std::move(text_ += '}'); }

 private:
  std::string& begin(std::string_view key);

  std::string text_;
};

}  // namespace icapgate
