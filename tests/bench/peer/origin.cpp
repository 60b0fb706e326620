#include "heads.hpp"
#include "peers.hpp"

namespace bench {
namespace {

// The fields that nginx sends with a file.
constexpr std::string_view fields =
    "HTTP/1.1 200 OK\r\nServer: bench\r\nDate: Sun, 01 Mar 2026 12:00:00 GMT\r\n"
    "Content-Type: application/octet-stream\r\n"
    "Last-Modified: Sun, 01 Mar 2026 11:00:00 GMT\r\nConnection: keep-alive\r\n"
    "ETag: \"69a41e90-400\"\r\nAccept-Ranges: bytes\r\nContent-Length: ";

class origin : public handler {
 public:
  bool received(std::string& in, std::string& out) override {
    for (auto end = in.find(empty_line); end != in.npos; end = in.find(empty_line)) {
      const auto size = number_behind(in, " /");
      if (!size) return false;
      out.append(fields).append(std::to_string(*size)).append(empty_line);
      out.append(static_cast<std::size_t>(*size), 'x');
      in.erase(0, end + empty_line.size());
    }
    return true;
  }
};

}  // namespace

std::unique_ptr<handler> make_origin() {
  return std::make_unique<origin>();
}

}  // namespace bench
