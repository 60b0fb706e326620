#include "http/pages.hpp"

#include "http/preferences.hpp"
#include "http/rules.hpp"

#include <array>

namespace icapgate::http {
namespace {

// --- which format

// How much one kind of content is wanted: the most specific range that names it decides.
class taste {
 public:
  // `precision`: 1 for */*, 2 for type/*, 3 for type/subtype.
  void consider(int precision, unsigned weight) {
    if (precision < precision_ || (precision == precision_ && weight < weight_)) return;
    precision_ = precision;
    weight_ = weight;
  }

  // With equal weights, what is asked for by name goes before what is merely allowed.
  bool beats(const taste& other) const {
    if (weight_ != other.weight_) return weight_ > other.weight_;
    return weight_ > 0 && precision_ > other.precision_;
  }

 private:
  int precision_ = 0;
  unsigned weight_ = 0;
};

// RFC 6839 3.1: whoever reads a type that ends in +json reads this one.
bool is_json(std::string_view range) {
  constexpr std::string_view type = "application/", suffix = "+json";
  if (iequals(range, "application/json")) return true;
  return range.size() > type.size() + suffix.size() &&
         iequals(range.substr(0, type.size()), type) &&
         iequals(range.substr(range.size() - suffix.size()), suffix);
}

// --- as HTML

// Text as HTML shows it, whatever it holds.
void append_escaped(std::string& html, std::string_view text) {
  for (const char c : text) {
    switch (c) {
      case '&':
        html += "&amp;";
        break;
      case '<':
        html += "&lt;";
        break;
      case '>':
        html += "&gt;";
        break;
      case '"':
        html += "&quot;";
        break;
      case '\'':
        html += "&#39;";
        break;
      default:
        html += c;
    }
  }
}

constexpr std::string_view built_in =
    "<!doctype html>\n<html lang=\"en\"><head><title>{{title}}</title></head>\n"
    "<body><h1>{{title}}</h1>\n<p>{{text}}</p>\n"
    "<p>Request id: <code>{{request_id}}</code></p></body></html>\n";

// One pass: what a value holds is never taken for a placeholder.
std::string html_of(const page& content) {
  const bool own = !content.cause.empty() && !content.html.empty();
  auto rest = own ? content.html : built_in;
  const auto status = std::to_string(content.status);
  struct placeholder {
    std::string_view name, value;
  };
  const std::array placeholders{
      placeholder{"{{request_id}}", content.request_id}, placeholder{"{{status}}", status},
      placeholder{"{{title}}", content.title}, placeholder{"{{text}}", content.text},
      placeholder{"{{host}}", content.host}};
  std::string html;
  while (!rest.empty()) {
    const auto plain = rest.substr(0, rest.find("{{"));
    html.append(plain);
    rest.remove_prefix(plain.size());
    if (rest.empty()) break;
    std::size_t taken = 1;
    for (const auto& p : placeholders) {
      if (!rest.starts_with(p.name)) continue;
      append_escaped(html, p.value);
      taken = p.name.size();
    }
    if (taken == 1) html += rest.front();
    rest.remove_prefix(taken);
  }
  return html;
}

// --- as a problem

void append_member(std::string& json, std::string_view name, std::string_view value) {
  constexpr std::string_view digits = "0123456789abcdef";
  json.append(",\"").append(name).append("\":\"");
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      json += '\\';
      json += c;
    } else if (byte < 0x20 || byte > 0x7e) {
      json.append("\\u00");
      json += digits[byte >> 4];
      json += digits[byte & 0xf];
    } else {
      json += c;
    }
  }
  json += '"';
}

// RFC 9457 4.2.1: with about:blank the title is the status's phrase.
std::string problem_of(const page& content) {
  const auto phrase = reason_phrase(content.status);
  std::string json = "{\"type\":\"about:blank\",\"status\":" + std::to_string(content.status);
  append_member(json, "title", phrase.empty() ? content.title : phrase);
  append_member(json, "detail", content.text);
  if (!content.cause.empty()) append_member(json, "cause", content.cause);
  append_member(json, "request_id", content.request_id);
  return json.append("}\n");
}

struct wording {
  std::string_view cause, title, text;
};

wording wording_of(block_cause cause) {
  switch (cause) {
    case block_cause::harmful:
      return {"harmful", "Blocked", "The content was found to be harmful and was not delivered."};
    case block_cause::unscannable:
      return {"unscannable", "Could not be checked",
              "The content could not be checked for malware, so it was not delivered. Another try "
              "will not help; ask the operator of this site and name the request id."};
    case block_cause::oversize:
      return {"oversize", "Too large to be checked",
              "The content is larger than what is checked for malware here, so it was not "
              "delivered. Another try will not help; ask the operator of this site and name the "
              "request id."};
  }
  return {};
}

}  // namespace

page_format wanted_format(const message_head& request) {
  taste html;
  taste json;
  for (const auto& f : request.fields) {
    if (f.id != field_id::accept) continue;
    for_each_preference(f.value, [&](const preference& p) {
      if (p.what == "*/*") {
        html.consider(1, p.weight);
        json.consider(1, p.weight);
      }
      if (iequals(p.what, "text/*")) html.consider(2, p.weight);
      if (iequals(p.what, "application/*")) json.consider(2, p.weight);
      if (iequals(p.what, "text/html")) html.consider(3, p.weight);
      if (is_json(p.what)) json.consider(3, p.weight);
    });
  }
  return json.beats(html) ? page_format::problem : page_format::html;
}

void append_page(std::string& wire, const page& content) {
  const bool html = content.format == page_format::html;
  const auto body = html ? html_of(content) : problem_of(content);
  wire.append("HTTP/1.1 ").append(std::to_string(content.status)).append(" ");
  wire.append(reason_phrase(content.status)).append("\r\n");
  wire.append("Content-Type: ");
  wire.append(html ? "text/html; charset=utf-8" : "application/problem+json").append("\r\n");
  wire.append("Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n");
  wire.append("X-Request-Id: ").append(content.request_id).append("\r\n");
  if (!content.date.empty()) wire.append("Date: ").append(content.date).append("\r\n");
  if (content.retry_after) wire.append("Retry-After: 10\r\n");
  if (!content.keep_alive) wire.append("Connection: close\r\n");
  wire.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n\r\n");
  if (!content.to_head) wire.append(body);
}

page error_page(errc reason, std::string_view request_id) {
  const auto& row = describe(reason);
  if (reason == errc::policy_oversize)
    return block_page(request_id, row.status, block_cause::oversize);
  if (reason == errc::policy_unscannable)
    return block_page(request_id, row.status, block_cause::unscannable);
  page content{.status = row.status, .title = {}, .text = {}, .request_id = request_id};
  switch (row.status) {
    case 416:
      content.title = "Only available whole";
      content.text =
          "A part of the content can't be checked for malware. Please ask for the whole, without a "
          "range.";
      break;
    case 501:
      if (reason != errc::policy_upgrade_refused) {
        content.title = reason_phrase(row.status);
        content.text = row.text;
        break;
      }
      content.title = "Protocol not available";
      content.text =
          "Another protocol was asked for, which can't be checked for malware. It is not available "
          "here.";
      break;
    case 502:
      content.title = "Bad gateway";
      content.text = "The site behind this gateway did not give a usable answer.";
      break;
    case 503:
      content.title = "Not available now";
      content.text = reason == errc::spool_full
                         ? "Too much content is being checked for malware right now. Please try "
                           "again in a moment."
                         : "The content could not be checked for malware, so it was not "
                           "delivered. Please try again in a moment.";
      content.retry_after = true;
      break;
    case 504:
      content.title = "Gateway timeout";
      content.text = "The site behind this gateway did not answer in time.";
      break;
    default:
      content.title = reason_phrase(row.status);
      content.text = row.text;
      break;
  }
  return content;
}

page block_page(std::string_view request_id, unsigned status, block_cause cause) {
  const auto words = wording_of(cause);
  return {.status = status,
          .title = words.title,
          .text = words.text,
          .request_id = request_id,
          .cause = words.cause};
}

}  // namespace icapgate::http
