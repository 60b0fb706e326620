#include "kit/http.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

namespace e2e {

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

std::vector<std::string> values(const field_list& fields, std::string_view name) {
  std::vector<std::string> out;
  for (const auto& f : fields) {
    if (lower(f.name) == lower(name)) out.push_back(f.value);
  }
  return out;
}

bool has(const field_list& fields, std::string_view name) {
  return !values(fields, name).empty();
}

std::string value(const field_list& fields, std::string_view name) {
  const auto all = values(fields, name);
  return all.empty() ? std::string() : all.front();
}

std::string to_wire(const field_list& fields) {
  std::string out;
  for (const auto& f : fields) out += f.name + ": " + f.value + "\r\n";
  return out;
}

std::vector<std::string> lines(const field_list& fields) {
  std::vector<std::string> out;
  for (const auto& f : fields) out.push_back(f.name + ": " + f.value);
  return out;
}

field_list end_to_end(const field_list& fields) {
  static constexpr std::array hop = {"connection", "keep-alive", "proxy-connection",
                                     "te",         "trailer",    "transfer-encoding",
                                     "upgrade",    "via",        "content-length"};
  field_list out;
  for (const auto& f : fields) {
    if (std::find(hop.begin(), hop.end(), lower(f.name)) == hop.end()) out.push_back(f);
  }
  return out;
}

http_head parse_head(const std::string& wire) {
  http_head head;
  head.wire = wire;
  auto end = wire.find("\r\n");
  const std::string start = wire.substr(0, end);
  const auto one = start.find(' ');
  const auto two = start.find(' ', one + 1);
  if (one == std::string::npos) throw protocol_error("no start line: " + start);
  head.first = start.substr(0, one);
  head.second = start.substr(one + 1, two == std::string::npos ? two : two - one - 1);
  head.third = two == std::string::npos ? "" : start.substr(two + 1);
  for (;;) {
    const auto begin = end + 2;
    end = wire.find("\r\n", begin);
    if (end == std::string::npos) throw protocol_error("a head without its empty line");
    if (end == begin) return head;
    const std::string line = wire.substr(begin, end - begin);
    if ((line[0] == ' ' || line[0] == '\t') && !head.fields.empty()) {  // obs-fold: c-icap uses it
      head.fields.back().value += "\r\n" + line;
      continue;
    }
    const auto colon = line.find(':');
    if (colon == std::string::npos || colon == 0) throw protocol_error("no field: " + line);
    const auto text = line.find_first_not_of(" \t", colon + 1);
    head.fields.push_back(
        {line.substr(0, colon), text == std::string::npos ? "" : line.substr(text)});
  }
}

chunk read_chunk(connection& from) {
  auto line = from.read_until("\r\n");
  line.resize(line.size() - 2);
  std::size_t size = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), size, 16);
  if (error != std::errc() || (*end != '\0' && *end != ';')) {
    throw protocol_error("no chunk size: " + line);
  }
  chunk out{line, from.read_exact(size)};
  if (size > 0 && from.read_exact(2) != "\r\n") throw protocol_error("no CRLF behind a chunk");
  return out;
}

std::string read_trailers(connection& from) {
  std::string out;
  for (;;) {
    const auto line = from.read_until("\r\n");
    if (line == "\r\n") return out;
    out += line;
  }
}

std::string chunked(std::string_view body, const chunked_form& form) {
  std::string out;
  std::array<char, 20> digits{};
  while (!body.empty()) {
    const auto part = body.substr(0, form.size);
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), part.size(), 16);
    out.append(digits.data(), end.ptr).append(form.extension).append("\r\n");
    out.append(part).append("\r\n");
    body.remove_prefix(part.size());
  }
  return out + "0\r\n" + form.trailers + "\r\n";
}

std::string response_text::head() const {
  std::string out = "HTTP/1.1 " + status + "\r\n" + to_wire(fields);
  if (form == framing::length) out += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  if (form == framing::chunked) out += "Transfer-Encoding: chunked\r\n";
  if (form == framing::close) out += "Connection: close\r\n";
  return out + "\r\n";
}

std::string response_text::wire() const {
  return head() + (form == framing::chunked ? e2e::chunked(body, chunks) : body);
}

std::string noise(std::size_t size, unsigned seed) {
  std::string out(size, '\0');
  std::uint64_t state = 0x9E3779B97F4A7C15u * (seed + 1);
  for (auto& byte : out) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    byte = static_cast<char>(state >> 32);
  }
  return out;
}

std::string difference(std::string_view got, std::string_view expected) {
  if (got == expected) return {};
  const auto size = std::min(got.size(), expected.size());
  const auto at =
      std::mismatch(got.begin(), got.begin() + static_cast<std::ptrdiff_t>(size), expected.begin())
          .first -
      got.begin();
  return "got " + std::to_string(got.size()) + " bytes, expected " +
         std::to_string(expected.size()) + ", first difference at " + std::to_string(at);
}

}  // namespace e2e
