#include "base/chunked.hpp"

#include "heads.hpp"
#include "peers.hpp"

namespace bench {
namespace {

using icapgate::chunk_decoder;

constexpr std::string_view options_answer =
    "ICAP/1.0 200 OK\r\nMethods: RESPMOD\r\nService: bench\r\nISTag: \"bench-1\"\r\nAllow: 204\r\n"
    "Options-TTL: 3600\r\nMax-Connections: 4000\r\nEncapsulated: null-body=0\r\n\r\n";
constexpr std::string_view unmodified =
    "ICAP/1.0 204 Unmodified\r\nISTag: \"bench-1\"\r\nServer: bench\r\n\r\n";

class scanner : public handler {
 public:
  bool received(std::string& in, std::string& out) override {
    std::string_view rest = in;
    while (!rest.empty()) {
      const auto before = rest.size();
      if (!(in_body_ ? take_body(rest, out) : take_head(rest, out))) return false;
      if (rest.size() == before) break;
    }
    in.erase(0, in.size() - rest.size());
    return true;
  }

 private:
  // The ICAP head together with the heads that it encapsulates.
  bool take_head(std::string_view& rest, std::string& out) {
    const auto end = rest.find(empty_line);
    if (end == rest.npos) return true;
    const auto head = rest.substr(0, end);
    const auto after = rest.substr(end + empty_line.size());
    const auto encapsulated = field(head, "Encapsulated").value_or("");
    if (head.starts_with("OPTIONS ")) {
      out.append(options_answer);
      rest = after;
      return true;
    }
    const auto body = number_behind(encapsulated, "res-body=");
    const auto bodyless = number_behind(encapsulated, "null-body=");
    const auto heads = static_cast<std::size_t>(body ? *body : bodyless.value_or(0));
    if (after.size() < heads) return true;
    echo_ = !field(head, "Allow").value_or("").starts_with("204");
    in_body_ = body.has_value();
    const auto response = number_behind(encapsulated, "res-hdr=").value_or(0);
    if (echo_) begin_echo(after.substr(0, heads).substr(static_cast<std::size_t>(response)), out);
    if (!echo_ && !in_body_) out.append(unmodified);
    rest = after.substr(heads);
    chunks_.reset();
    return true;
  }

  void begin_echo(std::string_view head, std::string& out) const {
    out.append("ICAP/1.0 200 OK\r\nISTag: \"bench-1\"\r\nEncapsulated: res-hdr=0, ");
    out.append(in_body_ ? "res-body=" : "null-body=").append(std::to_string(head.size()));
    out.append(empty_line).append(head);
  }

  bool take_body(std::string_view& rest, std::string& out) {
    const auto all = rest;
    std::string_view data;
    auto event = chunk_decoder::event::data;
    while (event == chunk_decoder::event::data) event = chunks_.next(rest, data);
    // The coding of the body goes back as it came.
    if (echo_) out.append(all.substr(0, all.size() - rest.size()));
    if (event == chunk_decoder::event::invalid) return false;
    if (event == chunk_decoder::event::need_input) return true;
    in_body_ = false;
    if (!echo_) out.append(unmodified);
    return true;
  }

  chunk_decoder chunks_;
  bool in_body_ = false;
  bool echo_ = false;
};

}  // namespace

std::unique_ptr<handler> make_scanner() {
  return std::make_unique<scanner>();
}

}  // namespace bench
