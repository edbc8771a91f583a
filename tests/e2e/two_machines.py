# SPDX-License-Identifier: Apache-2.0
"""
Servers that reach each other over tls:// only, as those of two machines do, and others who answer at
their addresses.
"""
import base64
import os
import socket
import ssl
import struct
import subprocess
import threading

import cbor2

import rig


def certificate(place, name):
    """A directory with one, which nobody has signed."""
    state = os.path.join(place.path, f"state-{name}")
    subprocess.run([os.path.join(rig.settings.build, "src/daemon/moat-kvd"), "cert", "--state", state,
                    "--host", "127.0.0.1"], check=True, capture_output=True,
                   timeout=rig.patience(20))
    return state


def server(place, name, listen, *options, **more):
    """Also on a unix socket, so that moat-kv reaches it; but that is the last that others try."""
    state = certificate(place, name)
    return rig.Server(place, name, state=state, options=[
        "--listen", f"unix:{state}/link.sock", "--listen", f"tls://{listen}", "--verbose",
        "--ping", "1", *options], **more)


def log_in(place, one, user, password):
    """At its tls:// address; its exit status."""
    return subprocess.run(
        rig.cli_command(one.listen[1], "login", user, "--password-file", "-"), check=False,
        input=password.encode(), capture_output=True, timeout=rig.patience(30),
        env={**os.environ, "MOAT_KV_TOKEN": os.path.join(place.path, "token")}).returncode


def converged(one):
    return rig.run_cli(one, "status", "--converged").returncode == 0


def test_two_machines(place):
    ports = rig.free_port(), rig.free_port()
    first = server(place, "first", f"0.0.0.0:{ports[0]}", "--advertise",
                   f"tls://127.0.0.1:{ports[0]}").start()
    rig.cli(first, "set", "lamp", "1")
    second = server(place, "second", f"127.0.0.2:{ports[1]}", "--advertise",
                    f"tls://127.0.0.2:{ports[1]}", broker=first.broker).start()
    rig.check(f"to tls://127.0.0.1:{ports[0]}" in second.words(), second.words())
    rig.check("unix:" not in [word for line in second.words().splitlines() if " to " in line
                              for word in line.split()], second.words())
    rig.equal(rig.cli(second, "get", "lamp").strip(), "1", "what was read over TLS")
    second.process.signal(19)  # it stops: what is written meanwhile it misses, or not
    for i in range(20):
        rig.cli(first, "set", f"n:{i}", str(i))
    second.process.signal(18)
    rig.wait_for(lambda: converged(first) and converged(second), "both to have the same")
    rig.equal(rig.cli(second, "get", "n:7").strip(), "7", "what it has missed")
    rig.cli(first, "set", ":n.users.ann", "{roles: []}")
    rig.cli(first, "user", "passwd", "ann", "--password-file", "-", stdin="pencil\n")
    rig.wait_for(lambda: log_in(place, second, "ann", "pencil") == 0,
                 "the password to be good at the other one", step=1)
    files = [os.path.join(path, name) for path, _, names in os.walk(place.path) for name in names]
    rig.check(not any(b"pencil" in content(name) for name in files), "the password lies somewhere")
    words = first.words() + second.words()
    rig.check("':server/" not in words and "cluster's key" not in words, words)


def content(name):
    try:
        with open(name, "rb") as file:
            return file.read()
    except OSError:  # a socket, or gone
        return b""


class Impostor:
    """Answers at an address as a server does, but has no key: @frames are what it says, one by one."""

    def __init__(self, certificate_of, frames):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate_of + "/tls.crt", certificate_of + "/tls.key")
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"tls://127.0.0.1:{self.listener.getsockname()[1]}"
        self.frames = frames
        self.heard = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                with self.context.wrap_socket(self.listener.accept()[0], server_side=True) as stream:
                    self._talk(stream)
            except OSError:
                continue

    def _talk(self, stream):
        read = stream.makefile("rb").read
        for frame in self.frames:
            frame = frame(self.heard[-1]) if callable(frame) else frame
            body = cbor2.dumps(frame)
            stream.sendall(struct.pack(">I", len(body)) + body)
            for _ in range(2 if frame[0] == 1 else 1):  # hello and auth
                head = read(4)
                if len(head) < 4:
                    return
                self.heard.append(cbor2.loads(read(struct.unpack(">I", head)[0])))


def hello(*mechanisms):
    return {0: 1, 2: [1, 1], 3: [], 4: "eve", 5: "eve", 6: list(mechanisms)}


def challenge(rounds):
    def answer(auth):
        nonce = auth[5].decode().rpartition("r=")[2]
        salt = base64.b64encode(os.urandom(16)).decode()
        return {0: 8, 2: f"r={nonce}abcd,s={salt},i={rounds}".encode()}
    return answer


PLUS = "SCRAM-SHA-256-PLUS"
UUID = bytes(16)
PEER = {0: 7, 2: "first", 3: UUID, 4: [1, 1], 5: 1}


def test_impostors(place):
    """Each of them is found out, and the next address tried."""
    proof = {0: 8, 2: b"v=" + base64.b64encode(bytes(32))}
    eve = certificate(place, "eve")
    impostors = [Impostor(eve, frames) for frames in (
        [hello("EXTERNAL", "ANONYMOUS"), PEER],
        [hello("SCRAM-SHA-256"), PEER],
        [hello(PLUS), challenge(4096), proof, PEER],
        [hello(PLUS), challenge(10000000), proof, PEER],
        [hello(PLUS), {0: 5, 2: -23, 3: "no"}])]
    port = rig.free_port()
    advertised = [word for one in impostors for word in ("--advertise", one.address)]
    first = server(place, "first", f"127.0.0.1:{port}", *advertised, "--advertise",
                   f"tls://127.0.0.1:{port}").start()
    rig.cli(first, "set", "lamp", "1")
    second = server(place, "second", "127.0.0.2:0", broker=first.broker).start()
    rig.equal(rig.cli(second, "get", "lamp").strip(), "1", "what was read from the right one")
    words = second.words()
    for wanted, impostor in zip(("no server log in", "no server log in", "the cluster's key",
                                 "the cluster's key", "another key"), impostors):
        line = [line for line in words.splitlines() if f"at {impostor.address}: " in line]
        rig.check(line and wanted in line[0], words)
    for impostor in impostors[:2]:
        rig.equal(impostor.heard, [], "what is said to whom offers less")
    said = [frame for impostor in impostors for frame in impostor.heard]
    rig.check(all(frame[2].startswith(PLUS) for frame in said if frame[0] == 2), said)


rig.main(test_two_machines, test_impostors)
