#include "proxy/tls.hpp"

#include "catch.hpp"
#include "proxy/stream.hpp"
#include "tls_kit.hpp"
#include "wire.hpp"

#include <csignal>
#include <future>
#include <vector>

#include <fcntl.h>

namespace asio = boost::asio;
using namespace icapgate;
using namespace std::chrono_literals;
using proxy::task;
using proxy::tls_status;

namespace {

// As the program does: OpenSSL writes without MSG_NOSIGNAL.
[[maybe_unused]] const auto ignored = std::signal(SIGPIPE, SIG_IGN);

using client_ptr = std::shared_ptr<proxy::tls_client>;

template <class T>
T run(test::wire& w, task<T> one) {
  return test::run(w.context(), w.all(), std::move(one));
}

// A handshake with a server that says nothing more until the client has closed.
tls_status shake(const client_ptr& client, const test::tls_server& server) {
  test::wire w;
  auto peer = server.play(w.peer(), [](SSL* ssl) { test::receive(ssl, 1); });
  const auto status = run(w, w.stream().start_tls(client));
  w.stream().shutdown();
  peer.join();
  return status;
}

struct received {
  std::string text;
  io_status end = io_status::ok;  // ok: there is more
};

task<received> read_from(proxy::stream& from, std::size_t most) {
  received out;
  std::array<char, 4096> memory;
  while (out.text.size() < most) {
    const auto wanted = std::min(memory.size(), most - out.text.size());
    const auto got = from.try_read(asio::buffer(memory, wanted));
    if (got.status == io_status::ok) {
      out.text.append(memory.data(), got.bytes);
      continue;
    }
    out.end = got.status;
    if (got.status != io_status::would_block) break;
    out.end = co_await from.wait_readable();
    if (out.end != io_status::ok) break;
  }
  co_return out;
}

std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 7 + i / 251);
  return text;
}

}  // namespace

TEST_CASE("TLS: a scanner that proves its name is talked to, with SNI, both ways") {
  const test::tls_world world;
  const test::tls_server server(world.scanner);
  test::wire w;
  std::string asked, name;
  auto peer = server.play(w.peer(), [&](SSL* ssl) {
    const char* sent = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    name = sent ? sent : "";
    asked = test::receive(ssl, 5);
    test::send_all(ssl, "answer");
    SSL_shutdown(ssl);
    test::receive(ssl, 1);
  });
  CHECK(run(w, w.stream().start_tls(world.client())) == tls_status::ok);
  proxy::const_buffers out;
  out.push(std::string_view("as"));
  out.push(std::string_view("ked"));
  CHECK(run(w, w.stream().write_all(out, 10s)) == io_status::ok);
  const auto got = run(w, read_from(w.stream(), 1000));
  CHECK(got.text == "answer");
  CHECK(got.end == io_status::eof);
  w.stream().shutdown();
  peer.join();
  CHECK(asked == "asked");
  CHECK(name == "scanner.test");
}

TEST_CASE(
    "TLS: an IP address is looked for among the certificate's addresses, and sent by no SNI") {
  const test::tls_world world;
  const test::tls_server server(world.scanner);
  CHECK(shake(world.client("127.0.0.1"), server) == tls_status::ok);
  CHECK(shake(world.client("127.0.0.2"), server) == tls_status::untrusted);
  CHECK(shake(world.client("::1"), server) == tls_status::untrusted);
  const auto six = test::make_identity("x", &world.ca, "IP:::1");
  CHECK(shake(world.client("::1"), test::tls_server(six)) == tls_status::ok);
}

TEST_CASE(
    "TLS: what a certificate must hold can be named in the settings; a dot at the end is DNS's") {
  test::tls_world world;
  const test::tls_server server(world.scanner);
  CHECK(shake(world.client("scanner.test."), server) == tls_status::ok);
  world.settings.server_name = "scanner.test";
  CHECK(shake(world.client("10.1.2.3"), server) == tls_status::ok);
}

TEST_CASE("TLS: certificates that prove nothing are refused as untrusted") {
  test::tls_world world;
  const auto other_ca = test::make_identity("test CA", nullptr);
  const std::string good = "DNS:scanner.test";
  const auto refused = [&](const test::identity& shown) {
    return shake(world.client(), test::tls_server(shown)) == tls_status::untrusted;
  };
  CHECK(refused(test::make_identity("x", &other_ca, good)));
  CHECK(refused(test::make_identity("scanner.test", nullptr, good)));
  CHECK(refused(test::make_identity("x", &world.ca, "DNS:other.test")));
  CHECK(refused(test::make_identity("x", &world.ca, "DNS:s*.test")));
  CHECK(refused(test::make_identity("x", &world.ca, good, -7200, -3600)));
  CHECK(refused(test::make_identity("x", &world.ca, good, 3600, 7200)));
  // A CA of one's own replaces the system's; the other way round the system's does not know ours.
  world.settings.ca = tls_settings::system;
  CHECK(refused(world.scanner));
}

TEST_CASE("TLS: without verification any certificate will do") {
  test::tls_world world;
  world.settings.verify = false;
  const auto expired = test::make_identity("x", nullptr, "DNS:other", -7200, -3600);
  CHECK(shake(world.client(), test::tls_server(expired)) == tls_status::ok);
}

TEST_CASE("TLS: 1.2 and 1.3 are spoken, 1.1 is not") {
  const test::tls_world world;
  test::tls_server server(world.scanner);
  SSL_CTX_set_security_level(server.context(), 0);
  server.only(TLS1_1_VERSION);
  CHECK(shake(world.client(), server) == tls_status::failed);
  server.only(TLS1_2_VERSION);
  CHECK(shake(world.client(), server) == tls_status::ok);
  server.only(TLS1_3_VERSION);
  CHECK(shake(world.client(), server) == tls_status::ok);
}

TEST_CASE("TLS: a scanner that asks for a certificate gets ours") {
  test::tls_world world;
  const auto ours = test::make_identity("icapgate", &world.ca);
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    test::tls_server server(world.scanner);
    server.only(version);
    server.ask_for_certificate(world.ca);
    test::wire without, with;
    world.settings.certificate = tls_settings::off;
    auto peer = server.play(without.peer(), [](SSL*) {});
    auto status = run(without, without.stream().start_tls(world.client()));
    // With TLS 1.3 the refusal comes only after the client's side of the handshake is done.
    if (status == tls_status::ok) {
      CHECK(version == TLS1_3_VERSION);
      CHECK(run(without, read_from(without.stream(), 1)).end == io_status::reset);
    } else {
      CHECK(status == tls_status::failed);
    }
    peer.join();

    ours.save(world.files / "ours.pem");
    world.settings.certificate = world.files / "ours.pem";
    bool seen = false;
    auto second = server.play(with.peer(), [&](SSL* ssl) {
      const test::x509_ptr shown(SSL_get1_peer_certificate(ssl));
      seen = shown && X509_cmp(shown.get(), ours.certificate.get()) == 0;
      test::send_all(ssl, "x");
    });
    CHECK(run(with, with.stream().start_tls(world.client())) == tls_status::ok);
    CHECK(run(with, read_from(with.stream(), 1)).text == "x");
    second.join();
    CHECK(seen);
  }
}

TEST_CASE("TLS: a peer that speaks no TLS, hangs up or says nothing ends the handshake") {
  const test::tls_world world;
  test::wire plain, closed, silent;
  plain.send("ICAP/1.0 400 Bad Request\r\n\r\n");
  CHECK(run(plain, plain.stream().start_tls(world.client())) == tls_status::failed);
  closed.hang_up();
  CHECK(run(closed, closed.stream().start_tls(world.client())) == tls_status::failed);
  silent.stream().expires_after(1ms);
  CHECK(run(silent, silent.stream().start_tls(world.client())) == tls_status::timed_out);
}

TEST_CASE("TLS: settings that can't work are told by the file's name") {
  test::tls_world world;
  const auto refusal = [&] {
    std::string why;
    CHECK_FALSE(proxy::tls_client::make(world.settings, "h", why));
    return why;
  };
  const auto good = world.settings;
  world.settings.ca = "/nowhere/ca.pem";
  CHECK(refusal().find("/nowhere/ca.pem") != std::string::npos);
  world.settings = good;
  world.settings.key = world.files / "ca.pem";
  CHECK(refusal().find("without a certificate") != std::string::npos);
  world.scanner.save(world.files / "scanner.pem");
  world.settings.certificate = world.files / "scanner.pem";
  CHECK(refusal().find("ca.pem") != std::string::npos);  // another one's key
  std::FILE* file = std::fopen((world.files / "locked.pem").c_str(), "w");
  PEM_write_PrivateKey(file, world.scanner.key.get(), EVP_aes_128_cbc(),
                       reinterpret_cast<const unsigned char*>("word"), 4, nullptr, nullptr);
  std::fclose(file);
  world.settings.key = world.files / "locked.pem";
  CHECK(refusal().find("locked.pem") != std::string::npos);  // and nobody is asked on a terminal
}

TEST_CASE("TLS: every byte of the peer may come alone") {
  const test::tls_world world;
  const test::tls_server server(world.scanner);
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    test::wire w;
    proxy::tls_channel client(world.client(), w.stream().number());
    const proxy::ssl_ptr peer(SSL_new(server.context()));
    SSL_set_max_proto_version(peer.get(), version);
    SSL_set_bio(peer.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_accept_state(peer.get());
    const auto take = [&] {
      std::array<char, 65536> all;
      const auto n = ::recv(w.peer(), all.data(), all.size(), MSG_DONTWAIT);
      if (n > 0) BIO_write(SSL_get_rbio(peer.get()), all.data(), static_cast<int>(n));
    };
    const auto next_byte = [&] {
      char byte;
      if (BIO_read(SSL_get_wbio(peer.get()), &byte, 1) != 1) return false;
      w.send({&byte, 1});
      return true;
    };
    auto status = client.handshake();
    while (status == tls_status::would_block) {
      take();
      SSL_do_handshake(peer.get());
      while (status == tls_status::would_block && next_byte()) status = client.handshake();
    }
    REQUIRE(status == tls_status::ok);
    take();
    CHECK(SSL_do_handshake(peer.get()) == 1);
    test::send_all(peer.get(), "hello");
    test::send_all(peer.get(), " world");
    SSL_shutdown(peer.get());
    std::string text;
    std::array<char, 3> memory;
    proxy::mutable_buffers into;
    into.push(asio::buffer(memory));
    auto end = io_status::would_block;
    do {
      // Nothing is here that could be read, so the socket may be waited for.
      CHECK_FALSE((end == io_status::would_block && client.has_input()));
      const bool came = next_byte();
      do {
        const auto got = client.try_read(into);
        end = got.status;
        if (end == io_status::ok) text.append(memory.data(), got.bytes);
      } while (end == io_status::ok);
      if (!came) break;
    } while (end == io_status::would_block);
    CHECK(text == "hello world");
    CHECK(end == io_status::eof);
    CHECK(client.try_read(into).status == io_status::eof);
  }
}

TEST_CASE("TLS: an end without close_notify is a reset, for it may be anybody's") {
  const test::tls_world world;
  const test::tls_server server(world.scanner);
  test::wire w;
  auto peer = server.play(w.peer(), [&](SSL* ssl) {
    test::send_all(ssl, "whole?");
    ::shutdown(w.peer(), SHUT_WR);
    test::receive(ssl, 1);
  });
  REQUIRE(run(w, w.stream().start_tls(world.client())) == tls_status::ok);
  const auto got = run(w, read_from(w.stream(), 1000));
  CHECK(got.text == "whole?");
  CHECK(got.end == io_status::reset);
  CHECK_FALSE(w.stream().is_quiet());
  w.stream().shutdown();
  peer.join();
}

TEST_CASE("TLS: what was decrypted is not waited for on the socket") {
  const test::tls_world world;
  const test::tls_server server(world.scanner);
  const auto text = pattern(10000);
  test::wire w;
  auto peer = server.play(w.peer(), [&](SSL* ssl) {
    test::send_all(ssl, text);
    test::receive(ssl, 1);
  });
  REQUIRE(run(w, w.stream().start_tls(world.client())) == tls_status::ok);
  const auto first = run(w, read_from(w.stream(), 10));
  CHECK(first.text == text.substr(0, 10));
  w.stream().expires_after(1h);
  CHECK(run(w, test::until_readable(w.stream())) == io_status::ok);
  const auto wait = [&]() -> task<bool> {
    co_await proxy::first_of(w.stream().readable(), w.stream().writable());
    co_return true;
  };
  CHECK(run(w, wait()));
  CHECK_FALSE(w.stream().is_quiet());
  CHECK(run(w, read_from(w.stream(), 9990)).text == text.substr(10));
  // Then there is nothing, and waiting for it ends by the deadline.
  char byte = 0;
  CHECK(w.stream().try_read(asio::buffer(&byte, 1)).status == io_status::would_block);
  w.stream().expires_after(1ms);
  CHECK(run(w, test::until_readable(w.stream())) == io_status::timed_out);
  w.stream().shutdown();
  peer.join();
}

TEST_CASE("TLS: session tickets are no noise on an idle connection, bytes and an end are") {
  const test::tls_world world;
  const test::tls_server server(world.scanner);
  test::wire tickets, bytes, end;
  for (auto* w : {&tickets, &bytes, &end}) {
    std::promise<void> said, seen;
    auto peer = server.play(w->peer(), [&](SSL* ssl) {
      if (w == &bytes) test::send_all(ssl, "x");
      if (w == &end) SSL_shutdown(ssl);
      said.set_value();
      seen.get_future().wait();
    });
    REQUIRE(run(*w, w->stream().start_tls(world.client())) == tls_status::ok);
    said.get_future().wait();
    CHECK(w->stream().is_quiet() == (w == &tickets));
    CHECK(w->stream().is_quiet() == (w == &tickets));
    seen.set_value();
    peer.join();
  }
}

TEST_CASE("TLS: a later connection resumes the session of an earlier one") {
  const test::tls_world world;
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    test::tls_server server(world.scanner);
    server.only(version);
    const auto client = world.client();
    std::vector<bool> resumed;
    for (int i = 0; i < 4; ++i) {
      test::wire w;
      auto peer = server.play(w.peer(), [&](SSL* ssl) {
        resumed.push_back(SSL_session_reused(ssl) == 1);
        test::send_all(ssl, "x");
        test::receive(ssl, 1);
      });
      REQUIRE(run(w, w.stream().start_tls(client)) == tls_status::ok);
      CHECK(run(w, read_from(w.stream(), 1)).text == "x");
      // However it ends.
      if (i % 2)
        w.stream().shutdown();
      else
        w.stream().reset();
      peer.join();
    }
    CHECK(resumed == std::vector{false, true, true, true});
  }
}

TEST_CASE("TLS: large bodies flow both ways at once, however slowly the peer reads") {
  const test::tls_world world;
  const test::tls_server server(world.scanner);
  const auto body = pattern(6 << 20);
  test::wire w;
  const int small = 4096;
  ::setsockopt(w.peer(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
  ::setsockopt(w.stream().number(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
  std::string arrived;
  auto peer = server.play(w.peer(), [&](SSL* ssl) {
    // An echo, in steps that fit no record.
    for (std::string piece; arrived.size() < body.size() + 8;) {
      piece = test::receive(ssl, std::min<std::size_t>(10007, body.size() + 8 - arrived.size()));
      if (piece.empty() || !test::send_all(ssl, piece)) break;
      arrived += piece;
    }
    SSL_shutdown(ssl);
  });
  REQUIRE(run(w, w.stream().start_tls(world.client())) == tls_status::ok);
  const auto both = [&]() -> task<std::string> {
    std::string echo;
    std::array<char, 5000> memory;
    std::size_t sent = 0;
    const std::string whole = "head" + body + "tail";
    while (echo.size() < whole.size()) {
      proxy::const_buffers out;
      // Cut differently at each attempt.
      std::size_t at = sent;
      for (std::size_t step :
           {std::size_t{3}, 100 + at % 900, std::size_t{9000}, std::size_t{70000}}) {
        const auto size = std::min(step, whole.size() - at);
        out.push(std::string_view(whole).substr(at, size));
        at += size;
      }
      if (!out.empty()) {
        const auto wrote = w.stream().try_write(out);
        if (wrote.status == io_status::ok)
          sent += wrote.bytes;
        else if (wrote.status != io_status::would_block)
          break;
      }
      const auto got = w.stream().try_read(asio::buffer(memory));
      if (got.status == io_status::ok) {
        echo.append(memory.data(), got.bytes);
        continue;
      }
      if (got.status != io_status::would_block) break;
      if (sent < whole.size())
        co_await proxy::first_of(w.stream().readable(), w.stream().writable());
      else
        co_await w.stream().wait_readable();
    }
    co_return echo;
  };
  const bool same = run(w, both()) == "head" + body + "tail";
  CHECK(same);
  w.stream().shutdown();
  peer.join();
}

TEST_CASE("TLS: a file is sent by way of this process, however slowly the peer reads") {
  const test::tls_world world;
  const test::tls_server server(world.scanner);
  const auto body = pattern(1 << 20);
  const auto path = world.files / "body";
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT, 0600);
  REQUIRE(::write(file, body.data(), body.size()) == static_cast<ssize_t>(body.size()));
  test::wire w;
  const int small = 4096;
  ::setsockopt(w.stream().number(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
  std::string arrived;
  auto peer =
      server.play(w.peer(), [&](SSL* ssl) { arrived = test::receive(ssl, body.size() * 2); });
  REQUIRE(run(w, w.stream().start_tls(world.client())) == tls_status::ok);
  const auto send = [&]() -> task<io_status> {
    std::uint64_t at = 7;
    while (at < body.size()) {
      const auto sent = w.stream().try_send_file(file, at, body.size() - at);
      if (sent.status == io_status::ok)
        at += sent.bytes;
      else if (sent.status != io_status::would_block)
        co_return sent.status;
      else
        co_await w.stream().wait_writable();
    }
    co_return io_status::ok;
  };
  CHECK(run(w, send()) == io_status::ok);
  CHECK(w.stream().try_send_file(file, body.size(), 1).status == io_status::reset);
  w.stream().shutdown();
  peer.join();
  ::close(file);
  const bool same = arrived == body.substr(7);
  CHECK(same);
}

TEST_CASE("TLS: what the peer answered before it closed is read, though writing to it has failed") {
  const test::tls_world world;
  const test::tls_server server(world.scanner);
  test::wire w;
  auto peer = server.play(w.peer(), [&](SSL* ssl) {
    test::send_all(ssl, "404");
    SSL_shutdown(ssl);
  });
  REQUIRE(run(w, w.stream().start_tls(world.client())) == tls_status::ok);
  peer.join();
  w.hang_up();
  proxy::const_buffers out;
  out.push(std::string_view("more"));
  CHECK(w.stream().try_write(out).status == io_status::reset);
  const auto got = run(w, read_from(w.stream(), 1000));
  CHECK(got.text == "404");
  CHECK(got.end == io_status::eof);
}
