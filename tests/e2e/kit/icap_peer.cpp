#include "kit/icap_peer.hpp"

#include "kit/lab.hpp"

#include <algorithm>

namespace e2e {

namespace {

// "req-hdr=0, res-hdr=66, res-body=145" to names and offsets.
std::vector<std::pair<std::string, std::size_t>> sections(const std::string& text) {
  std::vector<std::pair<std::string, std::size_t>> out;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find(',', at), text.size());
    const auto part = text.substr(at, end - at);
    const auto equals = part.find('=');
    if (equals == std::string::npos) throw protocol_error("Encapsulated: " + text);
    out.emplace_back(part.substr(part.find_first_not_of(' '), equals - part.find_first_not_of(' ')),
                     std::stoull(part.substr(equals + 1)));
    at = end + 1;
  }
  return out;
}

// Exactly one head: it ends with its only empty line.
http_head one_head(const std::string& wire) {
  if (wire.find("\r\n\r\n") != wire.size() - 4) {
    throw protocol_error("an Encapsulated offset does not meet the end of a head: " + wire);
  }
  return parse_head(wire);
}

void expect(bool true_so, const std::string& sentence) {
  if (!true_so) throw protocol_error(sentence);
}

void check_icap_head(const http_head& head, const std::string& authority, const std::string& path) {
  expect(head.second == "icap://" + authority + "/" + path, "ICAP URI: " + head.second);
  expect(head.third == "ICAP/1.0", "ICAP version: " + head.third);
  expect(values(head.fields, "Host").size() == 1, "one Host field");
  expect(value(head.fields, "Host") == authority, "Host: " + value(head.fields, "Host"));
  expect(values(head.fields, "Encapsulated").size() <= 1, "one Encapsulated field");
}

// It comes from the gateway itself: no client of a play asks for that name.
bool is_canary(const scan& record) {
  return record.request.second.starts_with("http://icapgate.invalid/");
}

void find_eicar(exchange& with) {
  with.answer(with.body().find(eicar()) == std::string::npos ? no_modification() : block_page());
}

std::string not_admitted() {
  return icap_status("407 Proxy Authentication Required",
                     {{"Proxy-Authenticate", "Basic realm=\"play\""}});
}

void refuse(exchange& with) {
  with.body();
  with.answer(not_admitted());
}

}  // namespace

const std::string& exchange::preview() {
  const auto most = *record_.preview;
  std::string got;
  chunk part = read_chunk(wire_);
  for (; !part.data.empty(); part = read_chunk(wire_)) got += part.data;
  expect(read_trailers(wire_).empty(), "no trailer fields behind a preview");
  const bool ieof = part.size_line == "0; ieof";
  expect(ieof || part.size_line == "0", "the end of a preview: " + part.size_line);
  expect(got.size() <= most, "a preview of " + std::to_string(got.size()) + " bytes");
  expect(ieof || got.size() == most, "RFC 3507 4.5: a body that ended within the preview has ieof");
  expect(wire_.left_over() == 0, "nothing is sent behind a preview before 100 Continue");
  const std::lock_guard lock(guard_);
  record_.previewed = got;
  record_.body = got;
  record_.ieof = ieof;
  record_.whole = ieof;
  previewed_ = true;
  return record_.previewed;
}

std::string exchange::next() {
  if (record_.preview && !previewed_) {
    const auto& first = preview();
    if (!record_.whole) go_on();
    if (!first.empty()) return first;
  }
  if (record_.whole) return {};
  auto part = read_chunk(wire_);
  if (part.data.empty()) {
    expect(part.size_line == "0", "the last chunk: " + part.size_line);
    expect(read_trailers(wire_).empty(), "no trailer fields behind a body for the scanner");
    expect(answered_ || wire_.left_over() == 0,
           "nothing is sent before the answer came (RFC 3507 4.1)");
  }
  const std::lock_guard lock(guard_);
  record_.size_lines.push_back(part.size_line);
  record_.body += part.data;
  record_.whole = part.data.empty();
  return part.data;
}

const std::string& exchange::body() {
  while (!record_.whole) next();
  return record_.body;
}

icap_peer::icap_peer(icap_service service)
    : service_(std::move(service)),
      options_(service_.options),
      script_([](exchange& with) {
        with.body();
        with.answer(no_modification());
      }),
      on_canary_(find_eicar),
      server_([this](connection& wire, int number) { serve(wire, number); }, service_.socket) {}

void icap_peer::on_canary(script next) {
  const std::lock_guard lock(mutex_);
  on_canary_ = std::move(next);
}

void icap_peer::offer(const std::string& options) {
  const std::lock_guard lock(mutex_);
  options_ = options;
}

int icap_peer::options_asked() const {
  const std::lock_guard lock(mutex_);
  return options_asked_;
}

std::vector<scan> icap_peer::canaries() const {
  const std::lock_guard lock(mutex_);
  return {canaries_.begin(), canaries_.end()};
}

int icap_peer::scan_connections() const {
  const std::lock_guard lock(mutex_);
  return scan_connections_;
}

// They stay where they are: a script may still hold one.
void icap_peer::forget_scans() {
  const std::lock_guard lock(mutex_);
  forgotten_ = scans_.size();
}

void icap_peer::play(script next) {
  const std::lock_guard lock(mutex_);
  script_ = std::move(next);
}

void icap_peer::always(const std::string& bytes) {
  play([bytes](exchange& with) {
    with.body();
    with.answer(bytes);
  });
}

std::vector<scan> icap_peer::scans() const {
  const std::lock_guard lock(mutex_);
  return {scans_.begin() + static_cast<std::ptrdiff_t>(forgotten_), scans_.end()};
}

scan icap_peer::scan_of(const std::string& target) const {
  const auto all = scans();
  for (auto it = all.rbegin(); it != all.rend(); ++it) {
    if (it->request.second.ends_with(target)) return *it;
  }
  throw std::runtime_error("nothing was scanned for " + target);
}

void icap_peer::serve(connection& wire, int number) {
  bool scanned = false;
  const auto leave = [&] {
    const std::lock_guard lock(mutex_);
    if (scanned) --scan_connections_;
  };
  try {
    serve_all(wire, number, scanned);
  } catch (...) {
    leave();
    throw;
  }
  leave();
}

void icap_peer::serve_all(connection& wire, int number, bool& scanned) {
  // RFC 3507 4.2 wants a host in the URI; a unix socket has none.
  auto authority = service_.authority;
  if (authority.empty())
    authority = service_.socket.empty() ? "127.0.0.1:" + std::to_string(port()) : "localhost";
  for (int order = 0; wire.open();) {
    http_head head;
    try {
      head = parse_head(wire.read_until("\r\n\r\n"));
    } catch (const timed_out&) {
      return;  // an idle connection
    }
    check_icap_head(head, authority, service_.path);
    if (head.first == "OPTIONS") {
      answer_options(wire, head);
      continue;
    }
    expect(head.first == "RESPMOD", "method: " + head.first);
    auto record = read_heads(wire, head);
    record.connection = number;
    record.order = order++;
    if (!scanned && !is_canary(record)) {
      const std::lock_guard lock(mutex_);
      ++scan_connections_;
      scanned = true;
    }
    play_one(wire, std::move(record));
  }
}

void icap_peer::answer_options(connection& wire, const http_head& icap) {
  const auto encapsulated = value(icap.fields, "Encapsulated");
  expect(encapsulated.empty() || encapsulated == "null-body=0", "OPTIONS has no body");
  std::string answer;
  {
    const std::lock_guard lock(mutex_);
    answer = admits(icap) ? options_ : not_admitted();
  }
  if (answer.empty()) {
    wire.close();
  } else {
    wire.write(answer);
  }
  const std::lock_guard lock(mutex_);
  ++options_asked_;
}

bool icap_peer::admits(const http_head& icap) const {
  return service_.authorization.empty() ||
         values(icap.fields, "Proxy-Authorization") == std::vector{service_.authorization};
}

scan icap_peer::read_heads(connection& wire, const http_head& icap) {
  expect(has(icap.fields, "Encapsulated"), "RESPMOD has Encapsulated");
  const auto allow = value(icap.fields, "Allow");
  expect((allow.find("204") != std::string::npos) == service_.offered_204, "Allow: " + allow);

  const auto parts = sections(value(icap.fields, "Encapsulated"));
  expect(parts.size() == 3 && parts[0].first == "req-hdr" && parts[1].first == "res-hdr" &&
             (parts[2].first == "res-body" || parts[2].first == "null-body"),
         "sections of Encapsulated");
  expect(parts[0].second == 0, "the first section begins at 0");
  scan record;
  record.icap = icap;
  record.request = one_head(wire.read_exact(parts[1].second));
  record.response = one_head(wire.read_exact(parts[2].second - parts[1].second));
  record.has_body = parts[2].first == "res-body";
  record.whole = !record.has_body;
  if (const auto size = value(icap.fields, "Preview"); !size.empty())
    record.preview = std::stoull(size);
  expect(record.has_body || !record.preview, "no preview of nothing");
  return record;
}

void icap_peer::play_one(connection& wire, scan record) {
  std::unique_lock lock(mutex_);
  const bool canary = is_canary(record);
  auto& kept = (canary ? canaries_ : scans_).emplace_back(std::move(record));
  auto now = canary ? on_canary_ : script_;
  if (!admits(kept.icap)) now = refuse;
  lock.unlock();
  exchange with(wire, kept, mutex_);
  now(with);
}

std::string options_answer(const field_list& more) {
  return "ICAP/1.0 200 OK\r\nMethods: RESPMOD\r\nService: scanner of a play\r\n"
         "ISTag: \"play-1\"\r\nAllow: 204\r\nX-Include: X-Client-IP\r\n" +
         to_wire(more) + "Encapsulated: null-body=0\r\n\r\n";
}

std::string partial(const std::string& http_head, std::string_view body, std::uint64_t from) {
  std::string out =
      "ICAP/1.0 206 Partial Content\r\nISTag: \"play-1\"\r\nEncapsulated: res-hdr=0, res-body=" +
      std::to_string(http_head.size()) + "\r\n\r\n" + http_head;
  const auto whole = chunked(body, {.size = body.size()});
  out += std::string_view(whole).substr(0, whole.size() - 5);
  return out + "0; use-original-body=" + std::to_string(from) + "\r\n\r\n";
}

std::string no_modification() {
  return "ICAP/1.0 204 Unmodified\r\nServer: play\r\nConnection: keep-alive\r\n"
         "ISTag: \"play-1\"\r\n\r\n";
}

std::string adapted(const std::string& http_head, std::string_view body,
                    const field_list& icap_fields) {
  std::string out = "ICAP/1.0 200 OK\r\nServer: play\r\nConnection: keep-alive\r\n";
  out += "ISTag: \"play-1\"\r\n" + to_wire(icap_fields) + "Encapsulated: res-hdr=0, ";
  out += (body.empty() ? "null-body=" : "res-body=") + std::to_string(http_head.size());
  out += "\r\n\r\n" + http_head;
  if (!body.empty()) out += chunked(body, {.size = body.size()});
  return out;
}

std::string page_head() {
  return "HTTP/1.0 403 Forbidden\r\nServer: play\r\nConnection: close\r\n"
         "Content-Type: text/html\r\nContent-Language: en\r\n\r\n";
}

std::string page_body() {
  return std::string("<html><body>VIRUS FOUND: Play.Virus</body></html>\n") + std::string(2, '\0');
}

std::string block_page() {
  return adapted(page_head(), page_body(),
                 {{"X-Infection-Found", std::string(infection)},
                  {"X-Violations-Found", "1\r\n\t-\r\n\tPlay.Virus\r\n\t0\r\n\t0"}});
}

std::string icap_status(const std::string& status_and_reason, const field_list& fields) {
  return "ICAP/1.0 " + status_and_reason + "\r\nISTag: \"play-1\"\r\n" + to_wire(fields) + "\r\n";
}

}  // namespace e2e
