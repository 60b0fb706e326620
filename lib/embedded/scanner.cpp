#include "embedded/scanner.hpp"

#include "base/log.hpp"
#include "embedded/loopback_server.hpp"
#include "embedded/scan_session.hpp"

#include <algorithm>
#include <utility>

namespace icapgate::embedded {
namespace {

scan_rules rules_for(std::vector<std::string> listed) {
  std::sort(listed.begin(), listed.end());
  sha256 digest;
  for (const std::string& entry : listed) digest.update(entry);
  // RFC 3507 4.7: at most 32 bytes with the quotes.
  return {std::move(listed), "icapgate-test-" + digest.hex().substr(0, 16)};
}

}  // namespace

class scanner::impl {
 public:
  explicit impl(std::vector<std::string> blocked)
      : rules_(rules_for(std::move(blocked))),
        server_("embedded scanner", [this](connection& peer) { return serve(peer); }) {}

  loopback_server& server() { return server_; }

 private:
  boost::asio::awaitable<void> serve(connection& peer) {
    scan_session session(peer, rules_);
    co_await session.run();
  }

  const scan_rules rules_;
  loopback_server server_;
};

scanner::scanner(std::vector<std::string> blocked_sha256) {
  const auto listed = blocked_sha256.size();
  impl_ = std::make_unique<impl>(std::move(blocked_sha256));
  log::warn(
      "EMBEDDED SCANNER: for trying and testing only, THIS IS NOT AN ANTIVIRUS. It finds the EICAR "
      "test string and ",
      listed, " listed SHA-256, nothing else.");
}

scanner::~scanner() = default;

std::uint16_t scanner::port() const {
  return impl_->server().port();
}

void scanner::stop() {
  impl_->server().stop();
}

}  // namespace icapgate::embedded
