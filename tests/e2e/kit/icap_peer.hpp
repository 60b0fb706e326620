// The scanner of a play: reads each RESPMOD as strictly as RFC 3507 allows, keeps all of it for the
// test, and answers by a script. OPTIONS and canaries have answers of their own, so that the
// scripts and the records hold nothing but the play.
#pragma once

#include "kit/http.hpp"
#include "kit/server.hpp"

#include <deque>
#include <functional>
#include <optional>

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
  std::optional<std::size_t> preview;   // its Preview field
  std::string previewed;                // what of the body came as the preview
  bool ieof = false;                    // the preview was the whole body, and said so
  std::vector<std::string> size_lines;  // of the chunks
  bool whole = false;                   // read to its last chunk
};

// An answer to OPTIONS. It asks for X-Client-IP: a request that has it was made by somebody who
// knows the answer.
std::string options_answer(const field_list& more = {});

// What the scanner is, besides its script.
struct icap_service {
  std::string path = "avscan";
  std::string options = options_answer();  // empty: the connection ends instead
  bool offered_204 = true;                 // whether every request has to allow it
  std::string authorization = {};          // what Proxy-Authorization has to be, or it is a 407
  std::string socket = {};                 // path of a unix socket; empty: a TCP port
  std::string authority = {};              // that its URIs have; empty: its own address
};

// What a script has in its hands while it plays one scan.
class exchange {
 public:
  // `guard`: tests look at the record from their own thread.
  exchange(connection& wire, scan& record, std::mutex& guard)
      : wire_(wire), record_(record), guard_(guard) {}

  const scan& seen() const { return record_; }
  // The preview; nothing more comes until go_on(), and nothing at all where it was the whole body.
  const std::string& preview();
  void go_on() { wire_.write("ICAP/1.0 100 Continue\r\n\r\n"); }
  // The next chunk's data; empty at the end. A preview that nobody asked for is the first chunk.
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
  bool previewed_ = false;
};

class icap_peer {
 public:
  using script = std::function<void(exchange&)>;

  // Says 204 to everything until it is told otherwise, but finds EICAR in canaries.
  explicit icap_peer(icap_service service = {});

  void play(script next);
  // Reads the whole request, then sends these bytes.
  void always(const std::string& bytes);

  void on_canary(script next);
  void offer(const std::string& options);  // from now on

  std::uint16_t port() const { return server_.port(); }
  int options_asked() const;  // and answered
  std::vector<scan> canaries() const;
  int connections() const { return server_.connections(); }
  // Connections that are open and have carried a scan.
  int scan_connections() const;
  void forget_scans();
  std::vector<scan> scans() const;
  // Of the response to that target, the last one. Throws if there was none.
  scan scan_of(const std::string& target) const;
  std::vector<std::string> failures() const { return server_.failures(); }
  void stop() { server_.stop(); }

 private:
  void serve(connection& wire, int number);
  void serve_all(connection& wire, int number, bool& scanned);
  void answer_options(connection& wire, const http_head& icap);
  bool admits(const http_head& icap) const;
  scan read_heads(connection& wire, const http_head& icap);
  void play_one(connection& wire, scan record);

  const icap_service service_;
  mutable std::mutex mutex_;
  std::string options_;
  int options_asked_ = 0;
  int scan_connections_ = 0;
  script script_;
  script on_canary_;
  std::deque<scan> scans_;
  std::deque<scan> canaries_;
  std::size_t forgotten_ = 0;
  server server_;
};

// Answers, as bytes.
std::string no_modification();
// 200 with an encapsulated response; the body is sent in one chunk (none if empty).
std::string adapted(const std::string& http_head, std::string_view body,
                    const field_list& icap_fields = {});
// 206: what is left of the original from that byte on follows `body`.
std::string partial(const std::string& http_head, std::string_view body, std::uint64_t from);
// What c-icap's virus_scan says of an infected body.
inline constexpr std::string_view infection = "Type=0; Resolution=2; Threat=Play.Virus;";
std::string page_head();
std::string page_body();
std::string block_page();
std::string icap_status(const std::string& status_and_reason, const field_list& fields = {});

}  // namespace e2e
