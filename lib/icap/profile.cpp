#include "icap/profile.hpp"

#include <algorithm>

namespace icapgate::icap {
namespace {

constexpr profile rows[] = {
    {.name = "generic", .path = ""},
    // Under its other name, virus_scan, the default settings pass what is too large and let the
    // first part of an infected body through; the alias "avscan" waits for the verdict.
    {.name = "c-icap", .path = "avscan"},
    {.name = "squidclamav", .path = "squidclamav"},
    {.name = "symantec", .path = "avscan"},
    // Its setting Allow204 is off by default: the original comes back in a 200.
    {.name = "kaspersky", .path = "resp", .allow_204 = false},
    {.name = "kwts", .path = "av/respmod"},
    {.name = "skyhigh", .path = "respmod"},
    {.name = "metadefender", .path = "OMSScanResp-AV"},
    {.name = "trend-iwsva", .path = "avscan"},
    {.name = "trend-ddan", .path = "response"},
    {.name = "trend-vision-one", .path = "avscan?pml=true"},
    {.name = "eset", .path = "scan"},
    {.name = "fsecure", .path = "respmod"},
    // Answers 204 to any preview and means that it takes none: that would pass everything.
    {.name = "fortisandbox", .path = "respmod", .preview = false, .keep_alive = false},
    {.name = "checkpoint", .path = "sandblast"},
    {.name = "drweb", .path = "respmod", .violations_are_scan_errors = true},
    {.name = "sophos", .path = ""},
    {.name = "clearswift", .path = ""},
    {.name = "avira", .path = ""},
    {.name = "bitdefender", .path = ""},
    {.name = "forcepoint", .path = ""},
    {.name = "broadcom-dlp", .path = "respmod"},
    {.name = "trellix-ivx", .path = ""},
    {.name = "votiro", .path = ""},
    {.name = "glasswall", .path = "gw_rebuild"},
    {.name = "finjan", .path = "Finjan_RESPMOD"},
    // Without the state that its REQMOD service hands out it refuses; an empty one will do.
    {.name = "e2guardian", .path = "response", .fields = "X-ICAP-E2G: \r\n"},
    {.name = "icapeg", .path = "clamav"},
};

}  // namespace

std::span<const profile> profiles() {
  return rows;
}

bool complete_path(const profile& of, std::string& path) {
  if (path.size() > 1) return true;
  if (of.path.empty()) return false;
  path = '/' + std::string(of.path);
  return true;
}

const profile* find_profile(std::string_view name) {
  const auto* row = std::find_if(std::begin(rows), std::end(rows),
                                 [&](const profile& p) { return p.name == name; });
  return row == std::end(rows) ? nullptr : row;
}

}  // namespace icapgate::icap
