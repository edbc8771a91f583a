# SPDX-License-Identifier: Apache-2.0
"""
A server on tls://: the certificate it makes, who gets in, and what it says to whom it does not let
in or what it refuses to start with.

    tls.py BUILD_ROOT plain|sanitized
"""
import os
import socket
import ssl
import stat
import struct
import subprocess
import sys

from pathlib import Path

import cbor2

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))

import moat

FOLDER = moat.Folder()


def state(name="state"):
    return os.path.join(FOLDER.path, name)


def kvd(*arguments):
    return subprocess.run([moat.program("MOAT_KVD"), *arguments], capture_output=True, text=True,
                          timeout=moat.DEADLINE_S, check=False)


def port_of(server):
    address = next(a for a in server.facts["listen"] if a.startswith("tls://"))
    return int(address.rpartition(":")[2])


def s_client(port, *options):
    """openssl's own client, which waits for nothing."""
    return subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", state() + "/tls.crt",
         "-verify_return_error", *options], stdin=subprocess.DEVNULL, capture_output=True,
        timeout=moat.DEADLINE_S, check=False)


def connect(port, **settings):
    context = ssl.create_default_context(cafile=state() + "/tls.crt")
    for name, value in settings.items():
        setattr(context, name, value)
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=30),
                               server_hostname="127.0.0.1")


def read_frame(stream):
    head = stream.recv(4)
    while len(head) < 4:
        head += stream.recv(4 - len(head))
    length = struct.unpack(">I", head)[0]
    body = b""
    while len(body) < length:
        body += stream.recv(length - len(body))
    return cbor2.loads(body)


def send_frame(stream, frame):
    body = cbor2.dumps(frame)
    stream.sendall(struct.pack(">I", len(body)) + body)


def case_refused_starts():
    done = kvd("--state", state("none"), "--listen", "tls://127.0.0.1:0")
    moat.expect_equal(done.returncode, 2, done.stderr)
    moat.expect("moat-kvd cert --state" in done.stderr, done.stderr)
    done = kvd("--state", state("none"), "--listen", "tcp://0.0.0.0:0")
    moat.expect_equal(done.returncode, 2, done.stderr)
    moat.expect("moat-kvd cert" in done.stderr and "tls://0.0.0.0" in done.stderr, done.stderr)
    done = kvd("--state", state("none"), "--tls-cert", "/nowhere")
    moat.expect_equal(done.returncode, 2, done.stderr)
    moat.expect("--tls-key" in done.stderr, done.stderr)


def case_cert():
    done = kvd("cert", "--state", state(), "--host", "127.0.0.1", "--host", "attic.example")
    moat.expect_equal(done.returncode, 0, done.stderr)
    moat.expect_equal(stat.S_IMODE(os.stat(state() + "/tls.key").st_mode), 0o600)
    shown = subprocess.run(["openssl", "x509", "-in", state() + "/tls.crt", "-noout", "-text",
                            "-fingerprint", "-sha256"], capture_output=True, text=True, check=True)
    moat.expect("IP Address:127.0.0.1" in shown.stdout and "DNS:attic.example" in shown.stdout)
    print_ = shown.stdout.rpartition("ingerprint=")[2].strip().replace(":", "").lower()
    moat.expect(print_ in done.stdout, done.stdout, shown.stdout)
    again = kvd("cert", "--state", state(), "--host", "127.0.0.1")
    moat.expect_equal(again.returncode, 3, "a key is never overwritten")
    moat.expect_equal(kvd("cert", "--host", "a b", "--state", state("x")).returncode, 2)
    moat.expect_equal(kvd("cert", "--what").returncode, 2)


def with_server(case):
    def run():
        with moat.Server(state(), arguments=["--listen", f"unix:{state()}/link.sock",
                                             "--listen", "tls://127.0.0.1:0"]) as server:
            case(server)
            moat.Cli(f"unix:{state()}/link.sock").check("ping")
            moat.expect_equal(server.stop(), 0)
    return run


def case_foreign(server):
    port = port_of(server)
    moat.expect_equal(s_client(port, "-tls1_3", "-verify_ip", "127.0.0.1").returncode, 0)
    moat.expect_equal(s_client(port, "-tls1_3", "-verify_hostname", "attic.example").returncode, 0)
    moat.expect_equal(s_client(port, "-verify_ip", "127.0.0.2").returncode, 1)
    moat.expect_equal(s_client(port, "-tls1_2").returncode, 1)


def case_nobody(server):
    """Without a user there is no way in, and it says so."""
    with connect(port_of(server)) as stream:
        hello = read_frame(stream)
        moat.expect_equal(hello[0], 1)
        moat.expect(not {"ANONYMOUS", "PLAIN"} & set(hello.get(6, [])), hello)
        send_frame(stream, {0: 1, 2: [1, 1], 3: [], 4: "test"})
        send_frame(stream, {0: 2, 2: "ANONYMOUS"})
        answer = read_frame(stream)
        moat.expect_equal((answer[0], answer[2]), (5, -23))


def case_plain(server):
    """Who speaks no TLS gets nothing of ours."""
    with socket.create_connection(("127.0.0.1", port_of(server)), timeout=30) as stream:
        stream.sendall(struct.pack(">I", 2) + b"\xa1\x00")
        got = b""
        try:
            more = stream.recv(4096)
            while more:
                got += more
                more = stream.recv(4096)
        except ConnectionResetError:
            pass
    moat.expect(b"moat" not in got, got)


def main():
    os.environ["MOAT_KVD"] = sys.argv[1] + "/src/daemon/moat-kvd"
    os.environ["MOAT_KV"] = sys.argv[1] + "/src/cli/moat-kv"
    with FOLDER:
        moat.run_cases([
            ("what is refused at the start names the mend", case_refused_starts),
            ("moat-kvd cert", case_cert),
            ("openssl s_client", with_server(case_foreign)),
            ("nobody gets in without a user", with_server(case_nobody)),
            ("no TLS", with_server(case_plain)),
        ])


main()
