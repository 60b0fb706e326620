// The scanner of a play: reads each RESPMOD as strictly as RFC 3507 allows, keeps all of it for the
// test, and answers by a script.
#pragma once

#include "kit/http.hpp"
#include "kit/server.hpp"

#include <deque>
#include <functional>

namespace e2e {

// One RESPMOD request, as received.
struct scan {
  int connection = 0;  // which of the scanner's connections, from 0
  int order = 0;       // which request on it, from 0
  http_head icap;
  http_head request;   // encapsulated req-hdr
  http_head response;  // encapsulated res-hdr
  bool has_body = false;
  std::string body;
  std::vector<std::string> size_lines;  // of the chunks
  bool whole = false;                   // read to its last chunk
};

// What a script has in its hands while it plays one scan.
class exchange {
 public:
  // `guard`: tests look at the record from their own thread.
  exchange(connection& wire, scan& record, std::mutex& guard)
      : wire_(wire), record_(record), guard_(guard) {}

  const scan& seen() const { return record_; }
  // The next chunk's data; empty at the end.
  std::string next();
  // All that is left; returns the whole body.
  const std::string& body();
  void answer(std::string_view bytes) {
    answered_ = true;
    wire_.write(bytes);
  }
  connection& wire() { return wire_; }

 private:
  connection& wire_;
  scan& record_;
  std::mutex& guard_;
  bool answered_ = false;
};

class icap_peer {
 public:
  using script = std::function<void(exchange&)>;

  // Says 204 to everything until it is told otherwise.
  icap_peer();

  void play(script next);
  // Reads the whole request, then sends these bytes.
  void always(const std::string& bytes);

  std::uint16_t port() const { return server_.port(); }
  std::vector<scan> scans() const;
  // Of the response to that target, the last one. Throws if there was none.
  scan scan_of(const std::string& target) const;
  std::vector<std::string> failures() const { return server_.failures(); }
  void stop() { server_.stop(); }

 private:
  void serve(connection& wire, int number);
  scan read_heads(connection& wire, const http_head& icap);
  void play_one(connection& wire, scan record);

  mutable std::mutex mutex_;
  script script_;
  std::deque<scan> scans_;
  server server_;
};

// Answers, as bytes.
std::string no_modification();
// 200 with an encapsulated response; the body is sent in one chunk (none if empty).
std::string adapted(const std::string& http_head, std::string_view body,
                    const field_list& icap_fields = {});
// What c-icap's virus_scan says of an infected body.
inline constexpr std::string_view infection = "Type=0; Resolution=2; Threat=Play.Virus;";
std::string page_head();
std::string page_body();
std::string block_page();
std::string icap_status(const std::string& status_and_reason, const field_list& fields = {});

}  // namespace e2e
