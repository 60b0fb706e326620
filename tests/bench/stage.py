"""Processes of a measurement, their sockets and what they cost; all traffic stays on 127.0.0.1."""
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time

TICKS = os.sysconf('SC_CLK_TCK')


class Failed(Exception):
    """Says in a sentence what kept a measurement from being made."""


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Stage:
    """A folder, and processes that end with it."""

    def __init__(self, peer):
        self.peer = os.path.realpath(peer)

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix='icapgate-bench-')
        os.chmod(self.folder, 0o755)
        self._processes = []
        return self

    def __exit__(self, *_):
        for process in reversed(self._processes):
            self.stop(process)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, name, *command):
        with open(self.log(name), 'wb') as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       cwd=self.folder, start_new_session=True, env=environment())
        process.name = name
        self._processes.append(process)
        return process

    def log(self, name):
        return os.path.join(self.folder, name + '.log')

    def start_peer(self, role):
        """The origin or scanner of bench_peer; returns its port."""
        port = free_port()
        self.await_port(self.start(role, self.peer, role, str(port)), port)
        return port

    def await_port(self, process, port, patience=60):
        """Until somebody listens there."""
        end = time.monotonic() + patience
        while time.monotonic() < end and process.poll() is None:
            try:
                socket.create_connection(('127.0.0.1', port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        with open(self.log(process.name), errors='replace') as log:
            raise Failed(f'{process.name} does not listen on port {port}: {log.read()[-500:]}')

    def stop(self, process, patience=60):
        """Asks it to end, and sees that it does."""
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(patience)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                process.wait()
        return process.returncode

    def load(self, port, path, size, connections, amount):
        """Requests through `port`; `amount` is a number of them, or a time as in '4s'."""
        done = subprocess.run([self.peer, 'load', str(port), path, str(size), str(connections),
                               str(amount)], capture_output=True, text=True, timeout=600)
        if done.returncode not in (0, 1) or not done.stdout:
            raise Failed(f'the load ended with {done.returncode}: {done.stderr.strip()}')
        return json.loads(done.stdout)


def environment():
    """Ours, without settings of icapgate's that somebody has there."""
    return {k: v for k, v in os.environ.items() if not k.startswith('ICAPGATE_')}


def gateway(program, listen, origin, scanner, *more):
    """The command that all measurements run: one worker, nothing written."""
    return [os.path.realpath(program), '--listen', f'127.0.0.1:{listen}',
            '--origin', f'http://127.0.0.1:{origin}', '--icap', f'icap://127.0.0.1:{scanner}/scan',
            '--workers', '1', '--access-log', 'off', '--log-level', 'off', *more]


def family(process):
    """The process and all that it started and that is still there, as (pid, fields of its stat)."""
    found = []
    for entry in os.listdir('/proc'):
        if not entry.isdigit():
            continue
        try:
            with open(f'/proc/{entry}/stat') as stat:
                fields = stat.read().rpartition(')')[2].split()
        except OSError:
            continue
        if int(fields[3]) == process.pid:  # the session that it leads
            found.append((int(entry), fields))
    return found


def cpu_seconds(process):
    """User and system time so far."""
    return sum(int(f[11]) + int(f[12]) for _, f in family(process)) / TICKS


def resident_kib(process):
    """Memory that is resident now."""
    total = 0
    for pid, _ in family(process):
        try:
            with open(f'/proc/{pid}/status') as status:
                total += sum(int(line.split()[1]) for line in status if line.startswith('VmRSS:'))
        except OSError:
            pass
    return total
