// What an examination ends with: the settings to use, and one sentence.
#pragma once

#include "doctor/examination.hpp"

namespace icapgate::doctor {

// True: the scanner can be trusted.
bool conclude(const order& what, const knowledge& known, report& to);

// The settings as TOML, keys of base/options.
std::string recommended(const order& what, const knowledge& known, bool trusted);

}  // namespace icapgate::doctor
