// What the user typed.
#pragma once

#include "doctor/doctor.hpp"

#include <string>
#include <utility>
#include <vector>

namespace icapgate {

enum class command { serve, demo, doctor, health, help, version };

struct command_line {
  command what = command::serve;
  bool once = false;   // demo --once
  bool ready = false;  // health --ready
  std::string topic;   // of help; empty: the options in short
  doctor::arguments doctor;
  std::vector<std::pair<std::string, std::vector<std::string>>> flags;
  std::vector<std::string> problems;
  bool complete = true;  // false: the flags could not be told apart, `flags` is empty
};

command_line parse_command_line(int argc, const char* const* argv);

}  // namespace icapgate
