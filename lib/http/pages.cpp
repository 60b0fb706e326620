#include "http/pages.hpp"

#include <boost/beast/http/status.hpp>

namespace icapgate::http {
namespace {

std::string_view reason_phrase(unsigned status) {
  const auto phrase =
      boost::beast::http::obsolete_reason(boost::beast::http::int_to_status(status));
  return {phrase.data(), phrase.size()};
}

// Text as HTML shows it, whatever it holds.
std::string escaped(std::string_view text) {
  std::string html;
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
  return html;
}

std::string body_of(const page& content) {
  const auto title = escaped(content.title);
  std::string body = "<!doctype html>\n<html lang=\"en\"><head><title>";
  body.append(title).append("</title></head>\n<body><h1>").append(title);
  body.append("</h1>\n<p>").append(escaped(content.text)).append("</p>\n<p>Request id: <code>");
  body.append(escaped(content.request_id)).append("</code></p></body></html>\n");
  return body;
}

}  // namespace

void append_page(std::string& wire, const page& content) {
  const auto body = body_of(content);
  wire.append("HTTP/1.1 ").append(std::to_string(content.status)).append(" ");
  wire.append(reason_phrase(content.status)).append("\r\n");
  wire.append("Content-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\n");
  wire.append("X-Content-Type-Options: nosniff\r\n");
  wire.append("X-Request-Id: ").append(content.request_id).append("\r\n");
  if (content.retry_after) wire.append("Retry-After: 10\r\n");
  if (!content.keep_alive) wire.append("Connection: close\r\n");
  wire.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n\r\n");
  if (!content.to_head) wire.append(body);
}

page error_page(errc reason, std::string_view request_id) {
  const auto& row = describe(reason);
  page content{.status = row.status, .title = {}, .text = {}, .request_id = request_id};
  switch (row.status) {
    case 502:
      content.title = "Bad gateway";
      content.text = "The site behind this gateway did not give a usable answer.";
      break;
    case 503:
      content.title = "Not available now";
      content.text =
          "The content could not be checked for malware, so it was not delivered. Please try again "
          "in a moment.";
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

page block_page(std::string_view request_id) {
  return {.status = 403,
          .title = "Blocked",
          .text = "The content was found to be harmful and was not delivered.",
          .request_id = request_id};
}

}  // namespace icapgate::http
