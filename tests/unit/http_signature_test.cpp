#include "http/signature.hpp"

#include "catch.hpp"

#include <string>

using namespace icapgate;

namespace {

bool signs(const std::string& target, const std::string& fields, std::string_view name) {
  const std::string text = "GET " + target + " HTTP/1.1\r\nHost: bucket\r\n" + fields + "\r\n";
  http::request_head head;
  REQUIRE(http::parse_request(text, head) == errc::complete);
  return http::signs(head, name);
}

bool authorization_signs(const std::string& value, std::string_view name = "range") {
  return signs("/key", "Authorization: " + value + "\r\n", name);
}

bool query_signs(const std::string& query, std::string_view name = "range") {
  return signs("/key?" + query, "", name);
}

}  // namespace

TEST_CASE("signature: versions 4 and 4a list what they sign in Authorization") {
  const std::string version_4 =
      "AWS4-HMAC-SHA256 Credential=AKID/20240101/eu-west-1/s3/aws4_request, "
      "SignedHeaders=accept-encoding;host;range;x-amz-date, Signature=00ff";
  CHECK(authorization_signs(version_4, "range"));
  CHECK(authorization_signs(version_4, "Range"));
  CHECK(authorization_signs(version_4, "Accept-Encoding"));
  CHECK_FALSE(authorization_signs(version_4, "if-range"));
  CHECK_FALSE(authorization_signs(version_4, "rang"));
  CHECK_FALSE(authorization_signs(version_4, "ranges"));
  CHECK(
      authorization_signs("AWS4-ECDSA-P256-SHA256 Credential=AKID/20240101/s3/aws4_request, "
                          "SignedHeaders=host;range;x-amz-region-set, Signature=30"));
}

TEST_CASE("signature: other ways to write the same list") {
  CHECK(authorization_signs("AWS4-HMAC-SHA256 Credential=a,SignedHeaders=host;range,Signature=b"));
  CHECK(authorization_signs("AWS4-HMAC-SHA256 SignedHeaders=range;host Credential=a Signature=b"));
  CHECK(authorization_signs("AWS4-HMAC-SHA256  ,\tSignedHeaders=range"));
  CHECK(authorization_signs("aws4-hmac-sha256 signedheaders=HOST;RANGE"));
  CHECK(authorization_signs("AWS4-HMAC-SHA256 SignedHeaders=host, SignedHeaders=range"));
  CHECK(signs("/key", "Authorization: Basic YTpi\r\nAuthorization: AWS4-X SignedHeaders=range\r\n",
              "range"));
}

TEST_CASE("signature: what only looks like one signs nothing") {
  for (const std::string value :
       {"", "AWS4-", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 SignedHeaders",
        "AWS4-HMAC-SHA256 SignedHeaders=", "AWS4-HMAC-SHA256 SignedHeaders=;;;",
        "AWS4-HMAC-SHA256 XSignedHeaders=range", "AWS4-HMAC-SHA256 Signature=range",
        "AWS4-HMAC-SHA256 SignedHeaders=x-range;range-x", "AWS AKID:c2ln", "Bearer range",
        "Basic SignedHeaders=range", "XAWS4-HMAC-SHA256 SignedHeaders=range"}) {
    CAPTURE(value);
    CHECK_FALSE(authorization_signs(value));
  }
  CHECK_FALSE(signs("/key", "", "range"));
  CHECK_FALSE(signs("/key", "X-Authorization: AWS4-X SignedHeaders=range\r\n", "range"));
}

TEST_CASE("signature: a presigned address lists what it signs in the query") {
  const std::string presigned =
      "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a%2Fb&X-Amz-Expires=60&"
      "X-Amz-SignedHeaders=host%3Brange&X-Amz-Signature=00ff";
  CHECK(query_signs(presigned));
  CHECK_FALSE(query_signs(presigned, "if-range"));
  CHECK(query_signs("X-Amz-SignedHeaders=host;range"));
  CHECK(query_signs("X-Amz-SignedHeaders=host%3brange"));
  CHECK(query_signs("X%2DAmz-SignedHeaders=%72ange"));
  CHECK(query_signs("a=1&&x-amz-signedheaders=range"));
  CHECK(query_signs("X-Amz-SignedHeaders=host&X-Amz-SignedHeaders=range"));
  CHECK(signs("http://bucket/key?X-Amz-SignedHeaders=range", "", "range"));
}

TEST_CASE("signature: a query that only looks like one signs nothing") {
  for (const std::string query :
       {"", "&", "=", "?", "X-Amz-SignedHeaders", "X-Amz-SignedHeaders=", "range",
        "X-Amz-SignedHeaders=%", "X-Amz-SignedHeaders=%7", "X-Amz-SignedHeaders=%7zange",
        "X-Amz-SignedHeaders=host%253Brange", "X-Amz-SignedHeadersX=range",
        "X-Amz-SignedHeader=range", "%=range", "X-Amz-SignedHeaders%=range"}) {
    CAPTURE(query);
    CHECK_FALSE(query_signs(query));
  }
  CHECK_FALSE(signs("/X-Amz-SignedHeaders=range", "", "range"));
}
