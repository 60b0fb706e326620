#include "http/head.hpp"

#include "base/characters.hpp"
#include "http/authority.hpp"
#include "http/rules.hpp"

#include <boost/beast/core/error.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

#include <algorithm>
#include <array>
#include <functional>
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
    beast::error_code ec;
    const auto used = this->put(boost::asio::const_buffer(text_.data(), text_.size()), ec);
    if (!ec && used != text_.size()) ec = beast::http::error::unexpected_body;
    return ec;
  }

  // All that the fields are, together: most heads hold hardly any that this file reads.
  field_roles seen_fields() const { return seen_; }

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
                     beast::error_code& ec) override {
    const auto* const behind_name = name.data() + name.size();
    const bool is_line = value.data() == behind_name + 2 && behind_name[1] == ' ' &&
                         value.data()[value.size()] == '\r';
    if (!is_line && is_folded(behind_name, value))
      ec = beast::http::error::bad_obs_fold;
    else
      seen_ |= out_.fields.emplace_back(id, view(name), view(value), is_line).roles;
  }

  // RFC 9112 5.2: a folded line may be refused. Beast joins its parts in a buffer of its own, or
  // goes over to the next line where there is nothing but blanks in the first.
  bool is_folded(const char* behind_name, beast::string_view value) const {
    const std::less<const char*> before;
    const bool copied =
        before(value.data(), behind_name) || before(text_.data() + text_.size(), value.data());
    return copied || std::find(behind_name, value.data(), '\r') != value.data();
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
  field_roles seen_ = 0;
};

// What the fields say of the body, before method and status are looked at.
struct framing_fields {
  bool chunked = false;
  bool other_coding = false;  // before it
  std::optional<std::uint64_t> length;
};

// More digits than the largest length has are leading zeros, which not everybody reads.
constexpr std::size_t max_length_digits = 19;

bool read_length(std::string_view text, framing_fields& found) {
  const auto value = read_number(text);
  const bool in_range = value && *value <= std::uint64_t{INT64_MAX};
  if (found.length || !in_range || text.size() > max_length_digits) return false;
  found.length = value;
  return true;
}

// RFC 9112 6.1, 6.3: "chunked" once, and last. Codings before it are at least not ambiguous.
bool read_coding(std::string_view text, framing_fields& found) {
  const auto last = text.rfind(',');
  found.other_coding = last != text.npos;
  if (found.chunked || !iequals(trim(text.substr(last + 1)), "chunked")) return false;
  found.chunked = true;
  if (!found.other_coding) return true;
  auto before = text.substr(0, last);
  do {
    const auto coding = trim(split_off(before, ","));
    if (!is_token(coding) || iequals(coding, "chunked")) return false;
  } while (!before.empty());
  return true;
}

// RFC 9112 6.3: whatever two recipients could read in two ways is refused.
std::optional<framing_fields> read_framing(const message_head& head, field_roles seen) {
  framing_fields found;
  if ((seen & (role::content_length | role::transfer_encoding)) == 0) return found;
  for (const auto& f : head.fields) {
    if (f.id == field_id::content_length && !read_length(f.value, found)) return std::nullopt;
    if (f.id != field_id::transfer_encoding) continue;
    if (head.version < 11 || !read_coding(f.value, found)) return std::nullopt;
  }
  if (found.chunked && found.length) return std::nullopt;
  return found;
}

// Whether the connection stays, and whether some field ends at this hop (RFC 9110 7.6.1).
void read_connection(message_head& head, field_roles seen) {
  head.keep_alive = head.version >= 11;
  head.nominates = false;
  if ((seen & role::connection) == 0) return;
  bool asked_close = false;
  for (const auto& f : head.fields) {
    if (f.id != field_id::connection) continue;
    for_each_token(f.value, [&](std::string_view token) {
      const bool close = iequals(token, "close"), keep_alive = iequals(token, "keep-alive");
      if (close) asked_close = true;
      if (keep_alive) head.keep_alive = true;
      if (!close && !keep_alive) head.nominates = true;
    });
  }
  if (asked_close) head.keep_alive = false;
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

// RFC 9112 3.2: exactly one valid Host; version 1.0 may do without.
bool read_host(request_head& head) {
  const bool optional = head.version < 11;
  const auto host = head.sole_value(field_id::host);
  if (!host) return optional && !head.find(field_id::host);
  head.host = *host;
  return head.host.empty() ? optional : read_authority(head.host).has_value();
}

// The host of an absolute target stands for the Host field (RFC 9112 3.2.2). Where both differ, two
// recipients would route the request in two ways.
bool take_target_host(request_head& head, std::string_view host, bool secure) {
  const auto named = read_authority(host);
  if (!named) return false;
  if (!head.host.empty() && !is_same(*named, *read_authority(head.host), secure)) return false;
  head.host = host;
  return true;
}

// RFC 9112 3.2: splits the target. Its scheme must be the connection's (RFC 9110 7.4).
bool read_target(request_head& head, bool secure) {
  auto target = head.target;
  // A fragment is no part of a target: what is behind it would be read in two ways.
  if (target.find('#') != std::string_view::npos) return false;
  if (target.front() == '/' || (target == "*" && head.method == "OPTIONS")) {
    head.origin_form = target;
    return true;
  }
  const std::string_view scheme = secure ? "https://" : "http://";
  if (!iequals(target.substr(0, scheme.size()), scheme)) return false;
  target.remove_prefix(scheme.size());
  const auto path = std::min(target.size(), target.find_first_of("/?"));
  head.origin_form = target.substr(path);
  // RFC 9112 3.2.1, 3.2.4: an empty path stands for the root, or for the server as a whole.
  if (head.origin_form.empty()) head.origin_form = head.method == "OPTIONS" ? "*" : "/";
  return head.origin_form.front() != '?' && take_target_host(head, target.substr(0, path), secure);
}

// RFC 9110 10.1.1: nothing but 100-continue may be expected.
bool read_expectations(request_head& head) {
  bool known = true;
  bool go_on = false;
  for (const auto& f : head.fields) {
    if (f.id != field_id::expect) continue;
    for_each_token(f.value, [&](std::string_view expectation) {
      go_on = iequals(expectation, "100-continue");
      known = known && go_on;
    });
  }
  head.expects_continue = go_on && head.version >= 11;
  return known;
}

// RFC 9110 7.6.2: other methods than OPTIONS (and TRACE) may ignore it.
bool read_max_forwards(request_head& head) {
  if (head.method != "OPTIONS") return true;
  for (const auto& f : head.fields) {
    if (f.id != field_id::max_forwards) continue;
    const auto value = read_number(f.value);
    if (head.max_forwards || !value) return false;
    head.max_forwards = static_cast<std::uint32_t>(std::min<std::uint64_t>(*value, UINT32_MAX));
  }
  return true;
}

// RFC 9113 3.1: "h2c", or what other names it had.
bool wants_http2(const request_head& head) {
  bool wanted = false;
  for (const auto& f : head.fields) {
    if (f.id != field_id::upgrade) continue;
    for_each_token(f.value, [&](std::string_view protocol) {
      const auto name = protocol.substr(0, protocol.find('/'));
      if (iequals(name, "h2c") || iequals(name, "h2") || iequals(name, "http")) wanted = true;
    });
  }
  return wanted && wants_upgrade(head);
}

errc check_request(request_head& head, field_roles seen, bool secure) {
  const auto framing = read_framing(head, seen);
  if (!framing || (seen & role::disguised) != 0) return errc::client_head_invalid;
  // A tunnel would end all that this gateway is for; a trace shows others' credentials.
  if (head.method == "CONNECT" || head.method == "TRACE") return errc::client_method_refused;
  if (!read_host(head) || !read_target(head, secure)) return errc::client_head_invalid;
  if ((seen & role::max_forwards) != 0 && !read_max_forwards(head))
    return errc::client_head_invalid;
  if (framing->other_coding) return errc::client_coding_unsupported;
  if ((seen & role::expect) != 0 && !read_expectations(head))
    return errc::client_expectation_unsupported;
  if ((seen & role::upgrade) != 0 && wants_http2(head)) return errc::policy_upgrade_refused;
  set_framing(head, *framing, body_framing::none);
  read_connection(head, seen);
  return errc::complete;
}

// Beast tells of a bad version wherever a request line goes wrong behind its target.
bool asks_for_other_version(std::string_view text) {
  const auto line = text.substr(0, text.find("\r\n"));
  const auto version = line.substr(line.rfind(' ') + 1);
  return version.size() == 8 && version.starts_with("HTTP/") && is_digit(version[5]) &&
         version[6] == '.' && is_digit(version[7]) && version != "HTTP/1.1" &&
         version != "HTTP/1.0";
}

template <class Matches>
std::optional<std::string_view> sole_of(const std::vector<field>& fields, Matches matches) {
  std::optional<std::string_view> found;
  for (const auto& f : fields) {
    if (!matches(f)) continue;
    if (found) return std::nullopt;
    found = f.value;
  }
  return found;
}

constexpr std::size_t usual_fields = 16;

// Keeps the room of the list: a connection parses one head after the other.
template <class Head>
void clear(Head& head) {
  auto fields = std::move(head.fields);
  fields.clear();
  fields.reserve(usual_fields);
  head = {};
  head.fields = std::move(fields);
}

}  // namespace

const field* message_head::find(field_id id) const {
  const auto at = std::find_if(fields.begin(), fields.end(), [&](auto& f) { return f.id == id; });
  return at == fields.end() ? nullptr : &*at;
}

std::optional<std::string_view> message_head::sole_value(field_id id) const {
  return sole_of(fields, [&](const field& f) { return f.id == id; });
}

std::optional<std::string_view> message_head::sole_value(std::string_view name) const {
  return sole_of(fields, [&](const field& f) { return iequals(f.name, name); });
}

bool is_taken_for(std::string_view name, std::string_view known) {
  return std::ranges::equal(name, known,
                            [](char x, char y) { return (x == '_' ? '-' : ascii_lower(x)) == y; });
}

bool request_head::is_idempotent() const {
  return method == "GET" || method == "HEAD" || method == "PUT" || method == "DELETE" ||
         method == "OPTIONS";
}

errc parse_request(std::string_view text, request_head& out, bool secure) {
  clear(out);
  head_parser<true> parser(text, out);
  if (const auto ec = parser.parse()) {
    const bool version = ec == beast::http::error::bad_version && asks_for_other_version(text);
    return version ? errc::client_version_unsupported : errc::client_head_invalid;
  }
  return check_request(out, parser.seen_fields(), secure);
}

errc parse_response(std::string_view text, bool to_head, response_head& out) {
  clear(out);
  head_parser<false> parser(text, out);
  if (parser.parse() || out.status < 100) return errc::origin_head_invalid;
  const auto framing = read_framing(out, parser.seen_fields());
  if (!framing || framing->other_coding) return errc::origin_head_invalid;
  const bool bodyless = to_head || out.status < 200 || out.status == 204 || out.status == 304;
  if (!bodyless) set_framing(out, *framing, body_framing::until_close);
  read_connection(out, parser.seen_fields());
  if (out.framing == body_framing::until_close) out.keep_alive = false;
  return errc::complete;
}

}  // namespace icapgate::http
