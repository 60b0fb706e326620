// What the embedded test scanner looks for: the EICAR test string and listed SHA-256s. No socket.
#pragma once

#include "base/eicar.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct evp_md_ctx_st;  // OpenSSL's EVP_MD_CTX

namespace icapgate::embedded {

// A running SHA-256. Throws std::bad_alloc or std::runtime_error where OpenSSL refuses.
class sha256 {
 public:
  sha256();
  void update(std::string_view bytes);
  std::string hex();  // 64 lower-case digits; ends the computation

 private:
  struct release {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, release> context_;
};

// Looks at one body, given in pieces of any size. `listed` must outlive it: lower-case hex, sorted.
class detector {
 public:
  explicit detector(const std::vector<std::string>& listed);

  void update(std::string_view bytes);

  // The EICAR string was met; the rest of the body can't change that.
  bool found() const { return matched_ == eicar_.size(); }

  // What the whole body is: the name of a threat (a literal), or empty. Ends the computation.
  std::string_view threat();

 private:
  const std::vector<std::string>& listed_;
  const std::string eicar_ = eicar_text();
  std::vector<std::size_t> borders_;  // Knuth-Morris-Pratt: where to go on after a mismatch
  std::size_t matched_ = 0;
  std::unique_ptr<sha256> digest_;  // none where nothing is listed
};

}  // namespace icapgate::embedded
