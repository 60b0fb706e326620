#include "embedded/detector.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <new>
#include <stdexcept>

namespace icapgate::embedded {
namespace {

void require(int openssl_result) {
  if (openssl_result != 1) throw std::runtime_error("OpenSSL could not compute a SHA-256");
}

// borders[n]: length of the longest proper prefix of text[0, n) that is also its suffix.
std::vector<std::size_t> borders_of(std::string_view text) {
  std::vector<std::size_t> borders(text.size() + 1, 0);
  std::size_t border = 0;
  for (std::size_t i = 1; i < text.size(); ++i) {
    while (border > 0 && text[i] != text[border]) border = borders[border];
    if (text[i] == text[border]) ++border;
    borders[i + 1] = border;
  }
  return borders;
}

}  // namespace

void sha256::release::operator()(evp_md_ctx_st* context) const {
  EVP_MD_CTX_free(context);
}

sha256::sha256() : context_(EVP_MD_CTX_new()) {
  if (!context_) throw std::bad_alloc();
  require(EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr));
}

void sha256::update(std::string_view bytes) {
  require(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()));
}

std::string sha256::hex() {
  static constexpr std::string_view digits = "0123456789abcdef";
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  require(EVP_DigestFinal_ex(context_.get(), digest, &length));
  std::string text;
  text.reserve(2 * length);
  for (unsigned i = 0; i < length; ++i) {
    text += digits[digest[i] >> 4];
    text += digits[digest[i] & 0xf];
  }
  return text;
}

detector::detector(const std::vector<std::string>& listed)
    : listed_(listed), borders_(borders_of(eicar_)) {
  if (!listed.empty()) digest_ = std::make_unique<sha256>();
}

void detector::update(std::string_view bytes) {
  if (digest_) digest_->update(bytes);
  for (std::size_t i = 0; i < bytes.size() && !found(); ++i) {
    if (matched_ == 0) {
      i = bytes.find(eicar_.front(), i);
      if (i == bytes.npos) return;
    }
    while (matched_ > 0 && bytes[i] != eicar_[matched_]) matched_ = borders_[matched_];
    if (bytes[i] == eicar_[matched_]) ++matched_;
  }
}

std::string_view detector::threat() {
  if (found()) return "EICAR-Test-String";
  if (digest_ && std::binary_search(listed_.begin(), listed_.end(), digest_->hex())) {
    return "Listed-SHA256";
  }
  return {};
}

}  // namespace icapgate::embedded
