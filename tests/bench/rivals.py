"""The proxies that are measured, and the origin before which all stand, each with one worker."""
import os
import shutil

import stage

SIZES = {'1 KB': 1 << 10, '16 KB': 16 << 10, '128 KB': 128 << 10, '1 MB': 1 << 20}

# Folders that both kinds of nginx would want below /var.
NGINX_HEAD = '''daemon off; worker_processes 1; pid {name}.pid; error_log {name}.errors; {user}
events {{ worker_connections 8192; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 300;
  client_body_temp_path {name}-1; proxy_temp_path {name}-2; fastcgi_temp_path {name}-3;
  uwsgi_temp_path {name}-4; scgi_temp_path {name}-5;
'''

SQUID_HEAD = '''http_port 127.0.0.1:{listen} accel defaultsite=bench no-vhost
cache_peer 127.0.0.1 parent {origin} 0 no-query originserver no-digest
http_access allow all
cache deny all
access_log none
cache_log {folder}/squid.messages
pid_filename {folder}/squid.pid
coredump_dir {folder}
pinger_enable off
netdb_filename none
visible_hostname bench
shutdown_lifetime 0 seconds
cache_mem 8 MB
max_filedescriptors 16384
'''

SQUID_SCAN = '''icap_enable on
icap_persistent_connections on
icap_service scan respmod_precache bypass=off icap://127.0.0.1:{scanner}/scan
adaptation_access scan allow all
'''


def _write(s, name, text):
    path = os.path.join(s.folder, name)
    with open(path, 'w') as file:
        file.write(text)
    return path


def _nginx(s, name, rest):
    user = 'user root;' if os.getuid() == 0 else ''
    return s.start(name, 'nginx', '-p', s.folder, '-e', f'{name}.errors', '-c',
                   _write(s, f'{name}.conf', NGINX_HEAD.format(name=name, user=user) + rest + '}\n'))


def start_origin(s):
    """nginx with a file of each size; returns its port."""
    root = os.path.join(s.folder, 'files')
    os.mkdir(root)
    for size in SIZES.values():
        with open(os.path.join(root, str(size)), 'wb') as file:
            file.write(os.urandom(size))
    port = stage.free_port()
    origin = _nginx(s, 'origin', f'''  sendfile on; tcp_nopush on; open_file_cache max=100;
  server {{ listen 127.0.0.1:{port} backlog=4096; root {root}; }}
''')
    s.await_port(origin, port)
    return port


def start_nginx(s, ports):
    return _nginx(s, 'nginx', '''  upstream origin {{
    server 127.0.0.1:{origin}; keepalive 1024; keepalive_requests 1000000000;
  }}
  server {{
    listen 127.0.0.1:{listen} backlog=4096;
    location / {{ proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
'''.format(**ports))


def _squid(s, ports, settings):
    os.chmod(s.folder, 0o777)  # started by root, it writes as a user of its own
    text = (SQUID_HEAD + settings).format(folder=s.folder, **ports)
    return s.start('squid', 'squid', '-N', '-n', f'bench{ports["listen"]}', '-f',
                   _write(s, 'squid.conf', text))


def rows(program):
    """Name, whether it scans, the program that it needs, and what starts it."""
    gateway = lambda s, ports, *more: s.start(
        'icapgate', *stage.gateway(program, ports['listen'], ports['origin'], ports['scanner'], *more))
    return [
        ('icapgate', True, program, gateway),
        ('icapgate --avoid-port', False, program,
         lambda s, ports: gateway(s, ports, '--avoid-port', str(ports['origin']))),
        ('nginx', False, 'nginx', start_nginx),
        ('Squid with ICAP', True, 'squid', lambda s, ports: _squid(s, ports, SQUID_SCAN)),
        ('Squid', False, 'squid', lambda s, ports: _squid(s, ports, '')),
    ]


def is_there(program):
    return shutil.which(program) is not None or os.access(program, os.X_OK)
