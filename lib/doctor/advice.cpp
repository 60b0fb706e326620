#include "doctor/advice.hpp"

#include "base/text.hpp"
#include "base/units.hpp"

#include <algorithm>

namespace icapgate::doctor {
namespace {

constexpr std::size_t usual_connections = 100;
constexpr std::size_t usual_preview = 65536;

// What "Service" or "Server" say, for those that name themselves there.
struct hallmark {
  std::string_view text;  // lower case
  std::string_view vendor;
};

constexpr hallmark hallmarks[] = {
    {"squidclamav", "squidclamav"},
    {"c-icap", "c-icap"},
    {"kaspersky", "kaspersky"},
    {"symantec", "symantec"},
    {"metadefender", "metadefender"},
    {"mcafee", "skyhigh"},
    {"skyhigh", "skyhigh"},
    {"eset", "eset"},
    {"fortisandbox", "fortisandbox"},
    {"dr.web", "drweb"},
    {"f-secure", "fsecure"},
    {"e2guardian", "e2guardian"},
    {"icapeg", "icapeg"},
    {"trend micro", "trend-iwsva"},
};

std::string_view vendor_of(const order& what, const knowledge& known) {
  if (what.vendor_named) return what.vendor->name;
  const auto told = lower(known.server);
  for (const auto& row : hallmarks)
    if (told.find(row.text) != std::string::npos) return row.vendor;
  return what.vendor->name;
}

void add(std::string& out, const std::string& setting, std::string_view why) {
  out += setting;
  if (!why.empty()) {
    out.append(setting.size() < 36 ? 36 - setting.size() : 1, ' ');
    (out += "# ") += why;
  }
  out += '\n';
}

// A TOML string. A path may hold anything but blanks and controls.
std::string toml_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out += '"';
}

void add_text(std::string& out, const std::string& key, const std::string& value,
              std::string_view initial) {
  if (value != initial) add(out, key + " = " + toml_string(value), {});
}

// What it took to be let in.
void add_access(std::string& out, const order& what) {
  const tls_settings usual;
  if (what.scanner.secured()) {
    add_text(out, "tls.ca", what.tls.ca, usual.ca);
    add_text(out, "tls.certificate", what.tls.certificate, usual.certificate);
    add_text(out, "tls.key", what.tls.key, usual.key);
    add_text(out, "tls.server_name", what.tls.server_name, usual.server_name);
    if (!what.tls.verify) add(out, "tls.verify = false", "anybody may play the scanner");
  }
  add_text(out, "user", what.user, tls_settings::off);
  add_text(out, "password_path", what.password_file, tls_settings::off);
}

std::string sentence(const knowledge& known, const report& seen) {
  if (known.passed_eicar) return "Do NOT trust this scanner: EICAR passes.";
  if (!known.answered)
    return "Do NOT use this scanner: there is no verdict on anything; \"" + seen.first_failure() +
           "\" failed first.";
  if (seen.failures() > 0)
    return "Do NOT trust this scanner yet: \"" + seen.first_failure() + "\" failed.";
  std::string text = "This scanner can be trusted";
  if (known.lost_from > 0) text += " up to " + format_size(known.detected_up_to);
  if (known.passed_compressed) text += ", but not with compressed archives";
  return text + '.';
}

}  // namespace

std::string recommended(const order& what, const knowledge& known, bool trusted) {
  std::string out = "[scanner.av]\n";
  add(out, "servers = [" + toml_string(what.scanner.to_string()) + "]", {});
  add_access(out, what);
  add(out, "vendor = " + toml_string(vendor_of(what, known)), {});
  const auto& options = known.options;
  if (options.preview && *options.preview > usual_preview)
    add(out,
        "max_preview = " +
            toml_string(format_size(std::min<std::size_t>(*options.preview, 1 << 20))),
        "it asks for " + std::to_string(*options.preview) + " bytes");
  if (options.max_connections)
    add(out,
        "connections = " + std::to_string(std::min(*options.max_connections, usual_connections)),
        "its Max-Connections: " + std::to_string(*options.max_connections));
  if (known.closed_idle.count() > 0)
    add(out,
        "keep_alive = " +
            toml_string(format_duration(std::max(known.closed_idle / 2, milliseconds(1)))),
        "it closes idle connections");
  add(out, trusted ? "canary = \"enforce\"" : "canary = \"warn\"",
      trusted ? "left out as soon as EICAR passes" : "enforce, once it detects EICAR");
  if (known.detected_up_to > 0)
    add(out, "# max_scan_size = " + toml_string(format_size(known.detected_up_to)),
        known.lost_from > 0 ? "EICAR was lost at " + format_size(known.lost_from)
                            : "the largest file that was tried");
  return out;
}

bool conclude(const order& what, const knowledge& known, report& to) {
  const bool trusted = known.answered && to.failures() == 0;
  if (known.answered)
    to.say("\nSettings for this scanner:\n\n" + recommended(what, known, trusted));
  const auto verdict = to.painted(sentence(known, to), trusted ? mark::ok : mark::fail);
  const auto warned = to.warnings();
  to.say("\n" + verdict +
         (warned > 0 ? " " + std::to_string(warned) + (warned == 1 ? " warning." : " warnings.")
                     : "") +
         "\n");
  return trusted;
}

}  // namespace icapgate::doctor
