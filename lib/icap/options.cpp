#include "icap/options.hpp"

#include "base/characters.hpp"
#include "base/text.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>

namespace icapgate::icap {
namespace {

std::string_view value_of(const std::vector<field>& fields, std::string_view name) {
  const field* found = find(fields, name);
  return found ? found->value : std::string_view{};
}

// Calls `use` with each item of all fields of that name. False: there is no such field.
template <class Use>
bool for_each_item(const std::vector<field>& fields, std::string_view name, Use use) {
  bool found = false;
  for (const field& f : fields) {
    if (!iequals(f.name, name)) continue;
    found = true;
    for (std::string_view rest = f.value; !rest.empty();) {
      const auto item = trim(split_off(rest, ","), " \t\r\n");
      if (!item.empty()) use(item);
    }
  }
  return found;
}

bool has_item(const std::vector<field>& fields, std::string_view name, std::string_view wanted) {
  bool has = false;
  for_each_item(fields, name, [&](std::string_view item) { has = has || iequals(item, wanted); });
  return has;
}

// Products write "exe", ".exe" and "*.exe".
std::string as_extension(std::string_view item) {
  if (item.starts_with("*.")) item.remove_prefix(1);
  if (item.starts_with('.')) item.remove_prefix(1);
  return lower(item);
}

void read_transfer(const std::vector<field>& fields, std::string_view name, transfer kind,
                   std::vector<std::string>& extensions, std::optional<transfer>& others) {
  for_each_item(fields, name, [&](std::string_view item) {
    if (item != "*") {
      extensions.push_back(as_extension(item));
    } else if (!others) {
      others = kind;
    }
  });
}

// In the order in which a list wins over the others.
void read_transfers(const std::vector<field>& fields, transfer_lists& lists) {
  read_transfer(fields, "Transfer-Complete", transfer::complete, lists.complete, lists.others);
  read_transfer(fields, "Transfer-Preview", transfer::preview, lists.preview, lists.others);
  read_transfer(fields, "Transfer-Ignore", transfer::ignore, lists.ignore, lists.others);
}

void read_methods(const std::vector<field>& fields, service_options& out) {
  // RFC 3507 4.10.2 wants Methods in every answer; where it is missing, the first scan tells.
  if (!for_each_item(fields, "Methods", [](std::string_view) {})) return;
  out.respmod = has_item(fields, "Methods", "RESPMOD");
  out.reqmod = has_item(fields, "Methods", "REQMOD");
}

void read_limits(const std::vector<field>& fields, service_options& out) {
  constexpr std::uint64_t max_size = std::numeric_limits<std::size_t>::max();
  if (const auto n = read_number(value_of(fields, "Preview"))) {
    out.preview = static_cast<std::size_t>(std::min(*n, max_size));
  }
  const auto connections = read_number(value_of(fields, "Max-Connections"));
  if (connections && *connections > 0) {
    out.max_connections = static_cast<std::size_t>(std::min(*connections, max_size));
  }
  auto ttl = value_of(fields, "Options-TTL");
  const bool negative = ttl.starts_with('-');
  if (negative) ttl.remove_prefix(1);
  if (const auto n = read_number(ttl)) {
    const auto most = static_cast<std::uint64_t>(max_ttl.count());
    out.ttl = std::chrono::seconds(negative ? 0 : std::min(*n, most));
  }
}

bool contains(const std::vector<std::string>& list, std::string_view item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

std::string extension_of(std::string_view path) {
  path = path.substr(0, path.find_first_of("?#"));
  path = path.substr(path.rfind('/') + 1);
  const auto dot = path.rfind('.');
  return dot == std::string_view::npos ? std::string{} : as_extension(path.substr(dot));
}

std::optional<transfer> listed(const transfer_lists& lists, std::string_view path) {
  if (lists.empty()) return lists.others;
  const std::string extension = extension_of(path);
  if (!extension.empty()) {
    if (contains(lists.complete, extension)) return transfer::complete;
    if (contains(lists.preview, extension)) return transfer::preview;
    if (contains(lists.ignore, extension)) return transfer::ignore;
  }
  return lists.others;
}

}  // namespace

result<service_options> parse_options(const answer& a) {
  if (a.status / 100 != 2 || a.status == 204) return error_of_status(a.status);
  const auto head = parse_response_head(a.head);
  if (!head) return head.error();

  const auto& fields = head->fields;
  service_options out;
  read_methods(fields, out);
  read_limits(fields, out);
  out.allow_204 = has_item(fields, "Allow", "204");
  out.allow_206 = has_item(fields, "Allow", "206");
  out.istag = without_quotes(value_of(fields, "ISTag"));
  out.service = value_of(fields, "Service");
  out.service_id = value_of(fields, "Service-ID");
  out.wants_client_ip = has_item(fields, "X-Include", "X-Client-IP");
  out.wants_server_ip = has_item(fields, "X-Include", "X-Server-IP");
  out.wants_authenticated_user = has_item(fields, "X-Include", "X-Authenticated-User");
  out.wants_authenticated_groups = has_item(fields, "X-Include", "X-Authenticated-Groups");
  read_transfers(fields, out.transfer);
  return out;
}

transfer transfer_of(const service_options& options, std::string_view request_path) {
  const auto wanted = listed(options.transfer, request_path).value_or(transfer::preview);
  return wanted == transfer::preview && !options.preview ? transfer::complete : wanted;
}

std::chrono::seconds refresh_after(const service_options& options, std::chrono::seconds missing,
                                   std::chrono::seconds min, std::chrono::seconds max) {
  if (!options.ttl) return missing;
  const auto ttl = std::max(min, std::min(*options.ttl, max));
  const std::chrono::seconds after(ttl.count() / 5 * 4 + ttl.count() % 5 * 4 / 5);
  return std::max(after, std::chrono::seconds(1));
}

}  // namespace icapgate::icap
