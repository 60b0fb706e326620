#include "http/head.hpp"

#include <boost/beast/core/error.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

#include <algorithm>
#include <charconv>
#include <optional>

namespace icapgate::http {
namespace {

namespace beast = boost::beast;

std::string_view view(beast::string_view s) {
  return {s.data(), s.size()};
}

// Beast's parser as a head parser: it tells each element as a view into the text. Nothing is stored
// but views, so no field costs an allocation.
template <bool is_request>
class head_parser : public beast::http::basic_parser<is_request> {
 public:
  using head = std::conditional_t<is_request, request_head, response_head>;

  head_parser(std::string_view text, head& out) : text_(text), out_(out) {
    this->header_limit(static_cast<std::uint32_t>(text.size()));
    this->body_limit(boost::none);
    this->skip(true);  // only the head is parsed here
  }

  beast::error_code parse() {
    // RFC 9112 5.2: a folded line may be refused. Beast would join its parts in a buffer of its
    // own.
    for (const std::string_view fold : {"\r\n ", "\r\n\t"})
      if (text_.find(fold) != std::string_view::npos) return beast::http::error::bad_obs_fold;
    beast::error_code ec;
    const auto used = this->put(boost::asio::const_buffer(text_.data(), text_.size()), ec);
    if (!ec && used != text_.size()) ec = beast::http::error::unexpected_body;
    return ec;
  }

 private:
  void on_request_impl(beast::http::verb, beast::string_view method, beast::string_view target,
                       int version, beast::error_code&) override {
    if constexpr (is_request) {
      out_.method = view(method);
      out_.target = view(target);
      out_.version = static_cast<unsigned>(version);
    }
  }

  void on_response_impl(int code, beast::string_view reason, int version,
                        beast::error_code&) override {
    if constexpr (!is_request) {
      out_.status = static_cast<unsigned>(code);
      out_.reason = view(reason);
      out_.version = static_cast<unsigned>(version);
    }
  }

  void on_field_impl(beast::http::field id, beast::string_view name, beast::string_view value,
                     beast::error_code&) override {
    out_.fields.push_back({id, view(name), view(value)});
  }

  // Newer versions of Beast tell trailer fields apart; no trailer is parsed here.
  void on_trailer_field_impl(beast::http::field, beast::string_view, beast::string_view,
                             beast::error_code&) {}
  void on_header_impl(beast::error_code&) override {}
  void on_body_init_impl(boost::optional<std::uint64_t> const&, beast::error_code&) override {}
  std::size_t on_body_impl(beast::string_view, beast::error_code&) override { return 0; }
  void on_chunk_header_impl(std::uint64_t, beast::string_view, beast::error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view, beast::error_code&) override {
    return 0;
  }
  void on_finish_impl(beast::error_code&) override {}

  std::string_view text_;
  head& out_;
};

// What the fields say of the body, before method and status are looked at.
struct framing_fields {
  bool chunked = false;
  std::optional<std::uint64_t> length;
};

// RFC 9112 6.3: whatever two recipients could read in two ways is refused.
std::optional<framing_fields> read_framing(const message_head& head) {
  framing_fields found;
  for (const auto& f : head.fields) {
    if (f.id == field_id::transfer_encoding) {
      if (found.chunked || head.version < 11 || !iequals(f.value, "chunked")) return std::nullopt;
      found.chunked = true;
    } else if (f.id == field_id::content_length) {
      std::uint64_t value = 0;
      const auto* end = f.value.data() + f.value.size();
      const auto [stop, ec] = std::from_chars(f.value.data(), end, value);
      const bool in_range = value <= std::uint64_t{INT64_MAX};
      if (found.length || f.value.empty() || ec != std::errc{} || stop != end || !in_range)
        return std::nullopt;
      found.length = value;
    }
  }
  if (found.chunked && found.length) return std::nullopt;
  return found;
}

bool allows_keep_alive(const message_head& head) {
  bool close = head.version < 11;
  for (const auto& f : head.fields) {
    if (f.id != field_id::connection) continue;
    bool asked_close = false;
    for_each_token(f.value, [&](std::string_view token) {
      if (iequals(token, "close")) asked_close = true;
      if (head.version < 11 && iequals(token, "keep-alive")) close = false;
    });
    if (asked_close) return false;
  }
  return !close;
}

void set_framing(message_head& head, const framing_fields& found, body_framing otherwise) {
  if (found.chunked) {
    head.framing = body_framing::chunked;
  } else if (found.length) {
    head.framing = *found.length == 0 ? body_framing::none : body_framing::length;
    head.content_length = *found.length;
  } else {
    head.framing = otherwise;
  }
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_made_of(std::string_view text, std::string_view others) {
  return std::all_of(text.begin(), text.end(), [&](char c) {
    const char low = ascii_lower(c);
    return is_digit(c) || (low >= 'a' && low <= 'z') || others.find(c) != std::string_view::npos;
  });
}

// RFC 9110 7.2: uri-host [ ":" port ], with a host and without user information.
bool is_host(std::string_view text) {
  const bool literal = text.starts_with('[');
  const auto end = std::min(text.size(), text.find(literal ? ']' : ':'));
  const auto name = text.substr(literal, end - literal);
  auto port = text.substr(end);
  if (literal) {
    if (port.empty()) return false;
    port.remove_prefix(1);
  }
  if (name.empty() || !is_made_of(name, literal ? ".:" : "-._~%!$&'()*+,;=")) return false;
  return port.empty() ||
         (port.front() == ':' && std::all_of(port.begin() + 1, port.end(), is_digit));
}

// RFC 9112 3.2: exactly one valid Host; version 1.0 may do without.
bool read_host(request_head& head) {
  const bool optional = head.version < 11;
  const auto is_host_field = [](const field& f) { return f.id == field_id::host; };
  const auto count = std::count_if(head.fields.begin(), head.fields.end(), is_host_field);
  if (count != 1) return count == 0 && optional;
  head.host = head.find(field_id::host)->value;
  return head.host.empty() ? optional : is_host(head.host);
}

// RFC 9112 3.2: splits the target; the host of an absolute one takes the place of the Host field.
bool read_target(request_head& head) {
  auto target = head.target;
  // A fragment is no part of a target: what is behind it would be read in two ways.
  if (target.find('#') != std::string_view::npos || head.method == "CONNECT") return false;
  if (target.front() == '/' || (target == "*" && head.method == "OPTIONS")) {
    head.origin_form = target;
    return true;
  }
  constexpr std::string_view scheme = "http://";
  if (!iequals(target.substr(0, scheme.size()), scheme)) return false;
  target.remove_prefix(scheme.size());
  const auto path = std::min(target.size(), target.find_first_of("/?"));
  head.host = target.substr(0, path);
  head.origin_form = target.substr(path);
  // RFC 9112 3.2.1, 3.2.4: an empty path stands for the root, or for the server as a whole.
  if (head.origin_form.empty()) head.origin_form = head.method == "OPTIONS" ? "*" : "/";
  return head.origin_form.front() != '?' && is_host(head.host);
}

// Beast tells of a bad version wherever a request line goes wrong behind its target.
bool asks_for_other_version(std::string_view text) {
  const auto line = text.substr(0, text.find("\r\n"));
  const auto version = line.substr(line.rfind(' ') + 1);
  return version.size() == 8 && version.starts_with("HTTP/") && is_digit(version[5]) &&
         version[6] == '.' && is_digit(version[7]) && version != "HTTP/1.1" &&
         version != "HTTP/1.0";
}

// Keeps the capacity of the list: a connection parses one head after the other.
template <class Head>
void clear(Head& head) {
  auto fields = std::move(head.fields);
  fields.clear();
  head = {};
  head.fields = std::move(fields);
}

}  // namespace

const field* message_head::find(field_id id) const {
  const auto at = std::find_if(fields.begin(), fields.end(), [&](auto& f) { return f.id == id; });
  return at == fields.end() ? nullptr : &*at;
}

bool request_head::is_idempotent() const {
  return method == "GET" || method == "HEAD" || method == "PUT" || method == "DELETE" ||
         method == "OPTIONS" || method == "TRACE";
}

errc parse_request(std::string_view text, request_head& out) {
  clear(out);
  head_parser<true> parser(text, out);
  if (const auto ec = parser.parse()) {
    const bool version = ec == beast::http::error::bad_version && asks_for_other_version(text);
    return version ? errc::client_version_unsupported : errc::client_head_invalid;
  }
  const auto framing = read_framing(out);
  if (!framing || !read_host(out) || !read_target(out)) return errc::client_head_invalid;
  set_framing(out, *framing, body_framing::none);
  out.keep_alive = allows_keep_alive(out);
  const auto* expect = out.find(field_id::expect);
  out.expects_continue = expect && iequals(expect->value, "100-continue") && out.version >= 11;
  return errc::complete;
}

errc parse_response(std::string_view text, bool to_head, response_head& out) {
  clear(out);
  head_parser<false> parser(text, out);
  if (parser.parse() || out.status < 100) return errc::origin_head_invalid;
  const auto framing = read_framing(out);
  if (!framing) return errc::origin_head_invalid;
  const bool bodyless = to_head || out.status < 200 || out.status == 204 || out.status == 304;
  if (!bodyless) set_framing(out, *framing, body_framing::until_close);
  out.keep_alive = out.framing != body_framing::until_close && allows_keep_alive(out);
  return errc::complete;
}

}  // namespace icapgate::http
