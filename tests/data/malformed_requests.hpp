// Requests that are refused, with the status that tells it.
#pragma once

#include "data/malformed_parts.hpp"

namespace malformed {

struct request {
  std::string what;
  int status;
  std::string text;
};

namespace lines {

struct line {
  const char* what;
  int status;
  std::string text;
};

// Whole but for a Host field "a".
inline const std::vector<line> of_requests{
    {"method alone", 400, "GET"},
    {"no version", 400, "GET /"},
    {"no target", 400, "GET HTTP/1.1"},
    {"no method", 400, "/ HTTP/1.1"},
    {"blank for a method", 400, " / HTTP/1.1"},
    {"two blanks behind the method", 400, "GET  / HTTP/1.1"},
    {"two blanks behind the target", 400, "GET /  HTTP/1.1"},
    {"blank behind the version", 400, "GET / HTTP/1.1 "},
    {"word behind the version", 400, "GET / HTTP/1.1 HTTP/1.1"},
    {"blank before the method", 400, " GET / HTTP/1.1"},
    {"tab before the method", 400, "\tGET / HTTP/1.1"},
    {"tabs for blanks", 400, "GET\t/\tHTTP/1.1"},
    {"vertical tab for a blank", 400, "GET\x0b/ HTTP/1.1"},
    {"blank in the target", 400, "GET /a b HTTP/1.1"},
    {"tab in the target", 400, "GET /a\tb HTTP/1.1"},
    {"control in the target", 400, "GET /\x01 HTTP/1.1"},
    {"NUL in the target", 400, "GET /\0 HTTP/1.1"s},
    {"DEL in the target", 400, "GET /\x7f HTTP/1.1"},
    {"carriage return in the target", 400, "GET /\rX HTTP/1.1"},
    {"line feed in the target", 400, "GET /\nX: HTTP/1.1"},
    {"carriage return behind the version", 400, "GET / HTTP/1.1\rX"},
    {"line feed as the end of the line", 400, "GET / HTTP/1.1\nX: y"},
    {"two carriage returns", 400, "GET / HTTP/1.1\r"},
    {"version in small letters", 400, "GET / http/1.1"},
    {"letter behind the version", 400, "GET / HTTP/1.1x"},
    {"comma in the version", 400, "GET / HTTP/1,1"},
    {"version without its point", 400, "GET / HTTP/11"},
    {"version without its minor", 400, "GET / HTTP/1."},
    {"version without a number", 400, "GET / HTTP/"},
    {"letter for a version", 400, "GET / HTTP/x.1"},
    {"version of two digits", 400, "GET / HTTP/1.10"},
    {"version with zero", 400, "GET / HTTP/01.1"},
    {"version with sign", 400, "GET / HTTP/+1.1"},
    {"version of another protocol", 400, "GET / HTTPS/1.1"},
    {"ICAP", 400, "OPTIONS icap://a/ ICAP/1.0"},
    {"RTSP", 400, "OPTIONS * RTSP/1.0"},
    {"SIP", 400, "OPTIONS sip:a SIP/2.0"},
    {"version 0.9", 505, "GET / HTTP/0.9"},
    {"version 1.2", 505, "GET / HTTP/1.2"},
    {"version 1.9", 505, "GET / HTTP/1.9"},
    {"version 2.0", 505, "GET / HTTP/2.0"},
    {"version 3.0", 505, "GET / HTTP/3.0"},
    {"parenthesis in the method", 400, "G(T / HTTP/1.1"},
    {"quoted method", 400, "\"GET\" / HTTP/1.1"},
    {"comma in the method", 400, "GET,POST / HTTP/1.1"},
    {"colon in the method", 400, "GET: / HTTP/1.1"},
    {"slash in the method", 400, "GET/ / HTTP/1.1"},
    {"byte over 127 in the method", 400, "G\xc9T / HTTP/1.1"},
    {"NUL in the method", 400, "GE\0T / HTTP/1.1"s},
    {"DEL in the method", 400, "GET\x7f / HTTP/1.1"},
    {"control in the method", 400, "\x16\x03\x01 / HTTP/1.1"},
    {"CONNECT to a host", 501, "CONNECT a:443 HTTP/1.1"},
    {"CONNECT to a path", 501, "CONNECT / HTTP/1.1"},
    {"CONNECT to an absolute target", 501, "CONNECT http://a/ HTTP/1.1"},
    {"TRACE", 501, "TRACE / HTTP/1.1"},
    {"TRACE of the server", 501, "TRACE * HTTP/1.1"},
    {"asterisk with GET", 400, "GET * HTTP/1.1"},
    {"asterisk with POST", 400, "POST * HTTP/1.1"},
    {"two asterisks", 400, "OPTIONS ** HTTP/1.1"},
    {"asterisk as a path's beginning", 400, "OPTIONS */a HTTP/1.1"},
    {"path without its slash", 400, "GET a HTTP/1.1"},
    {"query without a path", 400, "GET ?a HTTP/1.1"},
    {"backslash for a slash", 400, "GET \\a HTTP/1.1"},
    {"authority form", 400, "GET a:80 HTTP/1.1"},
    {"target https", 400, "GET https://a/ HTTP/1.1"},
    {"target ftp", 400, "GET ftp://a/ HTTP/1.1"},
    {"target file", 400, "GET file:///etc/passwd HTTP/1.1"},
    {"target without a host", 400, "GET http:// HTTP/1.1"},
    {"target with an empty host", 400, "GET http:///a HTTP/1.1"},
    {"target with one slash", 400, "GET http:/a HTTP/1.1"},
    {"target without slashes", 400, "GET http:a HTTP/1.1"},
    {"target with a port alone", 400, "GET http://:80/ HTTP/1.1"},
    {"target with a user", 400, "GET http://u@a/ HTTP/1.1"},
    {"target with user and password", 400, "GET http://u:p@a/ HTTP/1.1"},
    {"target with an empty user", 400, "GET http://@a/ HTTP/1.1"},
    {"target with a name for a port", 400, "GET http://a:b/ HTTP/1.1"},
    {"target with two ports", 400, "GET http://a:80:80/ HTTP/1.1"},
    {"target with a port too large", 400, "GET http://a:65616/ HTTP/1.1"},
    {"target with a signed port", 400, "GET http://a:+80/ HTTP/1.1"},
    {"target with an open bracket", 400, "GET http://[::1/ HTTP/1.1"},
    {"target with a wrong address", 400, "GET http://[:::1]/ HTTP/1.1"},
    {"target with a wrong escape for a host", 400, "GET http://%zz/ HTTP/1.1"},
    {"target with a backslash in its host", 400, "GET http://a\\b/ HTTP/1.1"},
    {"target with a query for a path", 400, "GET http://a?b HTTP/1.1"},
    {"target of another host", 400, "GET http://b/ HTTP/1.1"},
    {"target of another port", 400, "GET http://a:81/ HTTP/1.1"},
    {"target whose user is the host", 400, "GET http://a@b/ HTTP/1.1"},
    {"target of a longer host", 400, "GET http://a.b/ HTTP/1.1"},
    {"fragment", 400, "GET /#f HTTP/1.1"},
    {"fragment behind a query", 400, "GET /?a#f HTTP/1.1"},
    {"fragment in an absolute target", 400, "GET http://a/#f HTTP/1.1"},
    {"fragment behind a host", 400, "GET http://a#/ HTTP/1.1"},
    {"path over the limit", 414, "GET /" + std::string(17000, 'a') + " HTTP/1.1"},
    {"query over the limit", 414, "GET /?" + std::string(17000, 'a') + " HTTP/1.1"},
    {"method over the limit", 414, std::string(17000, 'A') + " / HTTP/1.1"},
};

// The text of Host, or all fields there are.
inline const std::vector<part> of_hosts{
    {"no Host", ""},
    {"two Hosts", "Host: a\r\nHost: b\r\n"},
    {"two equal Hosts", "Host: a\r\nHost: a\r\n"},
    {"two Hosts in other letters", "Host: a\r\nhOST: a\r\n"},
    {"Host behind a fold", "X: y\r\n Host: a\r\n"},
    {"folded Host", "Host:\r\n a\r\n"},
    {"Host continued", "Host: a\r\n\t.b\r\n"},
    {"blank before the colon of Host", "Host : a\r\n"},
    {"blank before Host", " Host: a\r\n"},
    {"Host behind a bare line feed", "X: y\nHost: a\r\n"},
    {"empty Host", "Host:\r\n"},
    {"Host of blanks", "Host: \t \r\n"},
    {"Host with a blank", "Host: a b\r\n"},
    {"Host with a path", "Host: a/b\r\n"},
    {"Host with a scheme", "Host: http://a\r\n"},
    {"Host with a user", "Host: u@a\r\n"},
    {"Host with user and password", "Host: u:p@a\r\n"},
    {"Host with a name for a port", "Host: a:b\r\n"},
    {"Host with two ports", "Host: a:80:80\r\n"},
    {"Host with a port alone", "Host: :80\r\n"},
    {"Host with a port too large", "Host: a:65536\r\n"},
    {"Host with a negative port", "Host: a:-1\r\n"},
    {"Host with a blank before its port", "Host: a: 80\r\n"},
    {"Host with an open bracket", "Host: [::1\r\n"},
    {"Host with empty brackets", "Host: []\r\n"},
    {"Host with a name behind brackets", "Host: [::1]a\r\n"},
    {"Host with a wrong address", "Host: [1::2::3]\r\n"},
    {"Host without brackets", "Host: ::1\r\n"},
    {"Host with a quote", "Host: a\"b\r\n"},
    {"Host in angles", "Host: <a>\r\n"},
    {"Host with a query", "Host: a?b\r\n"},
    {"Host with a fragment", "Host: a#b\r\n"},
    {"Host with a backslash", "Host: a\\b\r\n"},
    {"Host with a byte over 127", "Host: \xc3\xa9\r\n"},
    {"Host with a tab", "Host: a\tb\r\n"},
    {"Host with NUL", "Host: a\0b\r\n"s},
    {"Host with a wrong escape", "Host: a%2\r\n"},
    {"list of Hosts", "Host: a, b\r\n"},
};

struct fields {
  const char* what;
  int status;
  const char* line;
  std::string text;
};

// Whole requests but for a Host field "a".
inline const std::vector<fields> of_semantics{
    {"other expectation", 417, "POST / HTTP/1.1", "Expect: 200-ok\r\nContent-Length: 5\r\n"},
    {"expectation among others", 417, "POST / HTTP/1.1", "Expect: 100-continue, magic\r\n"},
    {"expectation with a parameter", 417, "POST / HTTP/1.1", "Expect: 100-continue;a=b\r\n"},
    {"coding before chunked", 501, "POST / HTTP/1.1", "Transfer-Encoding: gzip, chunked\r\n"},
    {"codings before chunked", 501, "POST / HTTP/1.1", "Transfer-Encoding: a,b , chunked\r\n"},
    {"h2c", 501, "GET / HTTP/1.1",
     "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"},
    {"h2c among others", 501, "GET / HTTP/1.1",
     "Connection: upgrade\r\nUpgrade: websocket, h2c\r\n"},
    {"h2c in a second field", 501, "GET / HTTP/1.1",
     "Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: H2C\r\n"},
    {"HTTP/2.0 by upgrade", 501, "GET / HTTP/1.1", "Connection: upgrade\r\nUpgrade: HTTP/2.0\r\n"},
    {"Max-Forwards below zero", 400, "OPTIONS / HTTP/1.1", "Max-Forwards: -1\r\n"},
    {"Max-Forwards without a number", 400, "OPTIONS / HTTP/1.1", "Max-Forwards:\r\n"},
    {"two Max-Forwards", 400, "OPTIONS / HTTP/1.1", "Max-Forwards: 1\r\nMax-Forwards: 2\r\n"},
    {"length in disguise", 400, "POST / HTTP/1.1", "Content_Length: 5\r\n"},
    {"coding in disguise", 400, "POST / HTTP/1.1", "Transfer_Encoding: chunked\r\n"},
    {"coding with version 1.0", 400, "POST / HTTP/1.0", "Transfer-Encoding: chunked\r\n"},
    {"coding with version 1.0 that stays", 400, "POST / HTTP/1.0",
     "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n"},
    {"two Hosts with version 1.0", 400, "GET / HTTP/1.0", "Host: a\r\n"},
};

}  // namespace lines

inline std::vector<request> all_requests() {
  const std::string host = "Host: a\r\n", end = "\r\n";
  std::vector<request> all;
  for (const auto& l : lines::of_requests)
    all.push_back({l.what, l.status, l.text + end + host + end});
  for (const auto& h : lines::of_hosts)
    all.push_back({h.what, 400, "GET / HTTP/1.1\r\n" + h.text + end});
  for (const auto& f : lines::of_semantics)
    all.push_back({f.what, f.status, f.line + end + host + f.text + end});
  for (const auto& f : framing_fields)
    all.push_back({f.what, 400, "POST / HTTP/1.1\r\n" + host + f.text + end + "0\r\n\r\n"});
  for (const auto& f : field_lines)
    all.push_back({f.what, 400, "GET / HTTP/1.1\r\n" + host + f.text + end});
  for (const auto& c : chunks)
    all.push_back({c.what, 400,
                   "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n" + c.text});
  all.push_back({"HTTP/2 from the start", 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"});
  all.push_back({"bare line feeds alone", 400, "GET / HTTP/1.1\nHost: a\n\n"});
  all.push_back({"bare carriage returns alone", 400, "GET / HTTP/1.1\rHost: a\r\r"});
  all.push_back({"line feed before all", 400, "\nGET / HTTP/1.1\r\n" + host + end});
  all.push_back({"TLS", 400, "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"s});
  all.push_back({"absolute target without Host", 400, "GET http://a/ HTTP/1.1\r\n\r\n"});
  std::string many;
  for (int i = 0; i < 200; ++i) many += "X: y\r\n";
  all.push_back({"too many fields", 431, "GET / HTTP/1.1\r\n" + host + many + end});
  all.push_back({"field over the limit", 431,
                 "GET / HTTP/1.1\r\n" + host + "X: " + std::string(66000, 'a') + end + end});
  return all;
}

}  // namespace malformed
