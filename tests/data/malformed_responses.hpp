// Responses of an origin of which nothing is passed on.
#pragma once

#include "data/malformed_parts.hpp"

namespace malformed {

inline const std::vector<part> status_lines{
    {"no blank behind the status", "HTTP/1.1 200"},
    {"no status", "HTTP/1.1 OK"},
    {"version alone", "HTTP/1.1"},
    {"status without a version", "200 OK"},
    {"status of two digits", "HTTP/1.1 20 OK"},
    {"status of four digits", "HTTP/1.1 2000 OK"},
    {"status 099", "HTTP/1.1 099 OK"},
    {"status 000", "HTTP/1.1 000 OK"},
    {"signed status", "HTTP/1.1 +20 OK"},
    {"negative status", "HTTP/1.1 -20 OK"},
    {"letter in the status", "HTTP/1.1 2x0 OK"},
    {"two blanks", "HTTP/1.1  200 OK"},
    {"tab for a blank", "HTTP/1.1\t200 OK"},
    {"blank before the version", " HTTP/1.1 200 OK"},
    {"version in small letters", "http/1.1 200 OK"},
    {"version 0.9", "HTTP/0.9 200 OK"},
    {"version 1.2", "HTTP/1.2 200 OK"},
    {"version 2.0", "HTTP/2.0 200 OK"},
    {"version without a point", "HTTP/11 200 OK"},
    {"another protocol", "ICY 200 OK"},
    {"ICAP", "ICAP/1.0 200 OK"},
    {"a banner", "SSH-2.0-play"},
    {"control in the reason", "HTTP/1.1 200 O\x01K"},
    {"NUL in the reason", "HTTP/1.1 200 O\0K"s},
    {"DEL in the reason", "HTTP/1.1 200 O\x7fK"},
    {"carriage return in the reason", "HTTP/1.1 200 O\rK"},
    {"line feed in the reason", "HTTP/1.1 200 O\nK"},
    {"line feed as the end of the line", "HTTP/1.1 200 OK\nX: y"},
    {"two carriage returns", "HTTP/1.1 200 OK\r"},
    {"another protocol that nobody asked for", "HTTP/1.1 101 Go"},
};

inline std::vector<part> all_responses() {
  const std::string ok = "HTTP/1.1 200 OK\r\n", length = "Content-Length: 5\r\n", end = "\r\n";
  std::vector<part> all;
  for (const auto& s : status_lines) all.push_back({s.what, s.text + end + length + end + "hello"});
  for (const auto& f : framing_fields) all.push_back({f.what, ok + f.text + end + "hello"});
  for (const auto& f : field_lines) all.push_back({f.what, ok + length + f.text + end + "hello"});
  for (const auto& c : chunks)
    all.push_back({c.what, ok + "Transfer-Encoding: chunked\r\n\r\n" + c.text});
  all.push_back({"bare line feeds alone", "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello"});
  all.push_back({"line feed before all", "\n" + ok + length + end + "hello"});
  all.push_back({"coding with version 1.0",
                 "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"});
  all.push_back({"coding before chunked",
                 ok + "Transfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"});
  all.push_back({"malformed interim response",
                 "HTTP/1.1 100 Continue\r\nX : y\r\n\r\n" + ok + length + end + "hello"});
  all.push_back({"malformed behind an interim response",
                 "HTTP/1.1 103 Early Hints\r\n\r\n" + ok + "X : y\r\n" + length + end + "hello"});
  all.push_back(
      {"ambiguous to 204", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n" + length + end});
  all.push_back(
      {"ambiguous to 304", "HTTP/1.1 304 x\r\nTransfer-Encoding: chunked\r\n" + length + end});
  std::string many;
  for (int i = 0; i < 200; ++i) many += "X: y\r\n";
  all.push_back({"too many fields", ok + length + many + end + "hello"});
  all.push_back({"field over the limit",
                 ok + length + "X: " + std::string(66000, 'a') + end + end + "hello"});
  return all;
}

}  // namespace malformed
