# shellcheck shell=bash
# shellcheck disable=SC2154
# Sourced by tests/deploy/run: the life of the package on a booted machine, step by step.

unit=icapgate.service
conf=/etc/icapgate/icapgate.toml

property() { inside systemctl show --property "$1" --value "${2-$unit}"; }
main_pid() { property MainPID; }
# The main process gets a signal. 0 would be everybody in our own group.
signal_main() {
  local pid
  pid=$(main_pid)
  [ "${pid:-0}" -gt 1 ] && inside kill "-$1" "$pid"
}
is() { [ "$1" = "$2" ] || { echo "is '$1', not '$2'"; return 1; }; }
# As clients see it.
status_of() { inside curl -s -o /dev/null -w '%{http_code}' --max-time 10 "http://127.0.0.1:8080$1"; }
serves() {
  is "$(status_of /clean.txt)" 200 && is "$(inside curl -s --max-time 10 http://127.0.0.1:8080/clean.txt)" clean
}
blocks() { is "$(status_of /eicar.com)" "${1-403}"; }
# set_setting KEY VALUE: the first line of the settings that begins with the key.
set_setting() { sed -i "0,/^$1 = /s|^$1 = [^#]*|$1 = $2 |" "$machine$conf"; }
restarted_since() { [ "$(main_pid)" != "$1" ] && [ "$(main_pid)" != 0 ] && serves; }

# with_drop_in LINES COMMAND...: it is restarted with more lines in its unit's [Service].
with_drop_in() {
  local lines=$1 worked=0
  shift
  inside sh -c "mkdir -p /run/systemd/system/$unit.d"
  inside sh -c "printf '[Service]\n%b\n' '$lines' >/run/systemd/system/$unit.d/test.conf"
  inside systemctl daemon-reload
  if ! { inside systemctl restart $unit && "$@"; }; then worked=1; fi
  inside sh -c "rm -r /run/systemd/system/$unit.d && systemctl daemon-reload"
  return $worked
}

install_it() { inside apt-get -qy install /root/icapgate.deb; }
step "the package is installed" install_it
if [ "$failed" -gt 0 ]; then return; fi
installed_only() {
  is "$(property ActiveState)" inactive && is "$(property UnitFileState)" disabled &&
    is "$(property ActiveState icapgate.socket)" inactive
}
step "nothing is started or enabled before it has been set up" installed_only
verified() { is "$(inside systemd-analyze verify --man=no $unit icapgate.socket 2>&1)" ""; }
step "systemd-analyze verify prints nothing" verified
step "systemd-analyze security: 1.5 or better" \
  inside systemd-analyze security --no-pager --threshold=15 $unit
step "icapgate --version names compiler and libraries" inside sh -c \
  'icapgate --version | grep -q "^built with .* Boost" && icapgate --version | grep -q OpenSSL'

set_setting origin '"http://127.0.0.1:80"'
until_true inside curl -sf -o /dev/null http://127.0.0.1:80/clean.txt || echo "nginx does not answer"
until_true inside bash -c 'exec 3<>/dev/tcp/127.0.0.1/1344' || echo "c-icap does not answer"

step "it starts, and says that it is ready" inside systemctl start $unit
step "a clean file is delivered" serves
step "EICAR is blocked" blocks
large_is_whole() { inside sh -c 'curl -s http://127.0.0.1:8080/large.bin | cmp - /var/www/html/large.bin'; }
step "a file larger than the spool's memory is delivered byte for byte" large_is_whole
has_status() { [ "$(property StatusText)" ]; }
step "systemctl status tells how it is" has_status
confined() {
  local facts
  facts=$(inside cat "/proc/$(main_pid)/status")
  grep -qP '^CapEff:\t0+$' <<<"$facts" && grep -qP '^NoNewPrivs:\t1$' <<<"$facts" &&
    grep -qP '^Seccomp:\t2$' <<<"$facts" && grep -qP '^Uid:\t[1-9]' <<<"$facts" && return
  echo "$facts"
  return 1
}
step "the process has no privileges, a user of its own and a filter of system calls" confined

reload_changes() {
  local before
  before=$(main_pid)
  sed -i 's|^block_page = .*|block_page = { source = "own", status = 451 }|' "$machine$conf"
  inside systemctl reload $unit && until_true blocks 451 && is "$(main_pid)" "$before"
}
cp "$machine$conf" "$machine/root/good.toml"
step "a reload makes new settings count, in the same process" reload_changes
bad_reload() {
  local before
  before=$(main_pid)
  echo 'nonsense = 1' >>"$machine$conf"
  inside systemctl reload $unit || true
  until_true inside sh -c "journalctl -u $unit -o cat | grep -q nonsense" && serves && blocks 451 &&
    is "$(main_pid)" "$before" && is "$(property ActiveState)" active
}
step "a reload of wrong settings says so, and the old ones stay" bad_reload
cp "$machine/root/good.toml" "$machine$conf"
good_reload() { inside systemctl reload $unit && until_true blocks 403; }
step "a reload of right settings works after that" good_reload

killed() {
  local before
  before=$(main_pid)
  signal_main KILL
  until_true restarted_since "$before"
}
step "killed, it is started again" killed
stalled() {
  local before
  before=$(main_pid)
  sleep 5  # it feeds the watchdog: nothing happens
  is "$(main_pid)" "$before" || return 1
  signal_main STOP || return 1
  until_true restarted_since "$before"
}
step "standing still, it is ended by the watchdog and started again" \
  with_drop_in 'WatchdogSec=2s\nTimeoutAbortSec=2s' stalled
refused() {
  echo 'nonsense = 1' >>"$machine$conf"
  inside systemctl restart $unit && { echo "it started"; return 1; }
  is "$(property ExecMainStatus)" 78 && sleep 3 && is "$(property ActiveState)" failed
}
step "wrong settings at the start: status 78, and no further try" refused
cp "$machine/root/good.toml" "$machine$conf"
stops() {
  inside systemctl reset-failed $unit
  inside systemctl start $unit && serves && inside systemctl stop $unit &&
    is "$(property Result)" success && is "$(property ExecMainStatus)" 0
}
step "it stops when told to, with status 0" stops

# What docs/install.md says that a drop-in makes possible.
fetched() { is "$(inside curl -sk --max-time 10 "$1/clean.txt")" clean; }
key_of_root() {
  inside openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=shop -days 2 \
    -keyout /etc/icapgate/shop.key -out /etc/icapgate/shop.pem
  inside chmod 600 /etc/icapgate/shop.key
  set_setting tls '{ certificate = ["/etc/icapgate/shop.pem"], key = ["/run/credentials/icapgate.service/shop.key"] }'
  with_drop_in 'LoadCredential=shop.key:/etc/icapgate/shop.key' fetched https://127.0.0.1:8080
}
step "drop-in: a private key that only root may read" key_of_root
cp "$machine/root/good.toml" "$machine$conf"
rm -f "$machine"/etc/icapgate/shop.*
logs_to_file() { fetched http://127.0.0.1:8080 && until_true inside grep -q clean.txt /var/log/icapgate/access.log; }
step "drop-in: an access log in a file" with_drop_in \
  'LogsDirectory=icapgate\nEnvironment=ICAPGATE_ACCESS_LOG=/var/log/icapgate/access.log' logs_to_file
rm -rf "$machine/var/log/private/icapgate" "$machine/var/log/icapgate"
mkdir -m 1777 "$machine/srv/spool"
step "drop-in: a spool elsewhere" with_drop_in \
  'ReadWritePaths=/srv/spool\nEnvironment=ICAPGATE_POLICY__SPOOL__DIR=/srv/spool' large_is_whole
step "drop-in: a port below 1024" with_drop_in \
  'AmbientCapabilities=CAP_NET_BIND_SERVICE\nCapabilityBoundingSet=CAP_NET_BIND_SERVICE\nPrivateUsers=no
Environment=ICAPGATE_LISTEN=0.0.0.0:81' fetched http://127.0.0.1:81

# More than the system keeps for a client, slower than the unit's own patience.
finishes() {
  inside bash -c '
    curl -s --limit-rate 8M -o /run/huge.bin http://127.0.0.1:8080/huge.bin &
    client=$!
    until [ -s /run/huge.bin ]; do sleep 0.1; done
    systemctl stop icapgate.service
    wait $client && cmp /run/huge.bin /var/www/html/huge.bin' &&
    is "$(property Result)" success
}
step "a transfer that runs is finished before it stops" with_drop_in 'TimeoutStopSec=2s' finishes

activated() {
  inside systemctl start icapgate.socket && is "$(property ActiveState)" inactive && serves && blocks &&
    is "$(property ActiveState)" active
}
step "the first client of the socket starts it" activated
# Clients come all the time while it restarts: the socket stays open, and they wait.
restart_unseen() {
  inside bash -c '
    for n in $(seq 200); do
      curl -s -o /dev/null -w "%{http_code}\n" --max-time 20 http://127.0.0.1:8080/clean.txt
    done >/run/codes &
    clients=$!
    systemctl restart icapgate.service
    wait $clients
    test "$(sort -u /run/codes)" = 200 || { sort /run/codes | uniq -c; exit 1; }'
}
step "a restart behind the socket turns no client away" restart_unseen

# Each at an address that stands in its unit only.
two_sockets() {
  inside systemctl stop icapgate.socket $unit
  printf '\n[listen.intern]\naddress = "127.0.0.1:1"\n' >>"$machine$conf"
  sed 's/^ListenStream=.*/ListenStream=8082/; s/^FileDescriptorName=.*/FileDescriptorName=intern/' \
    "$machine/usr/lib/systemd/system/icapgate.socket" >"$machine/etc/systemd/system/icapgate-intern.socket"
  inside systemctl daemon-reload
  inside systemctl start icapgate.socket icapgate-intern.socket && serves &&
    is "$(inside curl -s --max-time 10 http://127.0.0.1:8082/clean.txt)" clean
}
step "two sockets, each for the listener that it is named after" two_sockets
inside systemctl stop icapgate-intern.socket icapgate.socket $unit || true
rm -f "$machine/etc/systemd/system/icapgate-intern.socket"
cp "$machine/root/good.toml" "$machine$conf"
inside systemctl daemon-reload
inside systemctl start icapgate.socket $unit || echo "icapgate does not start any more"

upgraded() {
  local before
  before=$(main_pid)
  inside dpkg -i /root/icapgate.deb && restarted_since "$before" && blocks &&
    cmp "$machine$conf" "$machine/root/good.toml"
}
step "an upgrade restarts it and keeps the settings" upgraded
removed() {
  inside systemctl enable $unit icapgate.socket
  inside apt-get -qy remove icapgate && ! inside pgrep -x icapgate &&
    ! inside test -e /usr/bin/icapgate && inside test -e $conf
}
step "removed, it is stopped and gone; the settings stay" removed
purged() {
  inside apt-get -qy purge icapgate
  is "$(inside find / -xdev -name '*icapgate*' -not -path '/root/*' -not -path '/proc/*' 2>/dev/null)" "" &&
    is "$(inside find -L /etc/systemd/system -type l)" "" &&
    is "$(inside systemctl list-units --all --no-legend --plain 'icapgate*')" ""
}
step "purged, nothing of it is left" purged
