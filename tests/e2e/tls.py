# SPDX-License-Identifier: Apache-2.0
"""
A server on tls://: the certificate it makes, who gets in, and what it says to whom it does not let
in or what it refuses to start with.

    tls.py BUILD_ROOT plain|sanitized
"""
import base64
import hashlib
import hmac
import os
import re
import signal
import socket
import ssl
import stat
import struct
import subprocess
import sys
import threading
from pathlib import Path

import cbor2
from OpenSSL import SSL

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))

import moat

FOLDER = moat.Folder()


def state(name="state"):
    return os.path.join(FOLDER.path, name)


def kvd(*arguments):
    return subprocess.run([moat.program("MOAT_KVD"), *arguments], capture_output=True, text=True,
                          timeout=moat.DEADLINE_S, check=False)


def port_of(server, scheme="tls://"):
    address = next(a for a in server.facts["listen"] if a.startswith(scheme))
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


class Link:
    """A link of our own, which logs in as docs/protocol.md says and with nothing of the program's."""

    def __init__(self, server, secure=True, edit=lambda hello: hello, name=None, tcp=False):
        if tcp:
            secure = False
            self.stream = socket.create_connection(("127.0.0.1", port_of(server, "tcp://")))
        elif secure:
            context = SSL.Context(SSL.TLS_CLIENT_METHOD)
            raw = socket.create_connection(("127.0.0.1", port_of(server)), timeout=30)
            raw.setblocking(True)
            self.stream = SSL.Connection(context, raw)
            self.stream.set_connect_state()
            self.stream.do_handshake()
        else:
            self.stream = socket.socket(socket.AF_UNIX)
            self.stream.connect(f"{state()}/link.sock")
        self.secure = secure
        self.server_hello = self.read_bytes()
        self.offered = cbor2.loads(self.server_hello).get(6, [])
        self.hello = cbor2.dumps({0: 1, 2: [1, 1], 3: [], 4: "test", **({5: name} if name else {})})
        self.send_bytes(self.hello)
        self.hello = edit(self.hello)

    def read_bytes(self):
        body, wanted = b"", 4
        while len(body) < wanted:
            more = self.stream.recv(wanted - len(body))
            if not more:
                raise moat.Failure("closed")
            body += more
            if len(body) == 4 and wanted == 4:
                wanted = 4 + struct.unpack(">I", body)[0]
        return body[4:]

    def read(self):
        """The next frame but `rights`, which may come at any time."""
        frame = cbor2.loads(self.read_bytes())
        return self.read() if frame[0] == 16 else frame

    def send_bytes(self, body):
        self.stream.sendall(struct.pack(">I", len(body)) + body)

    def send(self, frame):
        self.send_bytes(cbor2.dumps(frame))

    def binding(self):
        one, two = (hashlib.blake2b(h, digest_size=32).digest()
                    for h in (self.server_hello, self.hello))
        context = hashlib.blake2b(one + two, digest_size=32).digest()
        return self.stream.export_keying_material(b"EXPORTER-Channel-Binding", 32, context)

    def login(self, user, password, mechanism="SCRAM-SHA-256-PLUS", binding=None):
        """The last frame of the server: `session` or `error`."""
        plus = mechanism.endswith("PLUS")
        header = b"p=tls-exporter,," if plus else b"n,,"
        bound = header + ((binding or self.binding()) if plus else b"")
        nonce = base64.b64encode(os.urandom(12)).decode()
        first = f"n={user},r={nonce}"
        self.send({0: 2, 2: mechanism, 5: header + first.encode()})
        answer = self.read()
        if answer[0] != 8:
            return answer
        self.challenge = answer[2].decode()
        fields = dict(part.split("=", 1) for part in self.challenge.split(","))
        moat.expect(fields["r"].startswith(nonce) and fields["r"] != nonce, fields)
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(fields["s"]),
                                     int(fields["i"]))
        last = f"c={base64.b64encode(bound).decode()},r={fields['r']}"
        whole = ",".join([first, self.challenge, last]).encode()
        key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(key).digest(), whole, "sha256")
        proof = bytes(a ^ b for a, b in zip(key, signature))
        self.send({0: 9, 2: f"{last},p={base64.b64encode(proof).decode()}".encode()})
        answer = self.read()
        if answer[0] != 8:
            return answer
        server_key = hmac.digest(salted, b"Server Key", "sha256")
        wanted = "v=" + base64.b64encode(hmac.digest(server_key, whole, "sha256")).decode()
        moat.expect_equal(answer[2].decode(), wanted, "the server knows the password, too")
        return self.read()

    def close(self):
        try:
            self.stream.close()
        except SSL.Error:
            pass


def passwd(user, password, iterations=4096):
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    return {0: 33, 1: 7, 2: user, 3: iterations, 4: salt, 5: stored,
            6: hmac.digest(salted, b"Server Key", "sha256")}


def own(server):
    """As whoever owns the server."""
    link = Link(server, secure=False)
    link.send({0: 2, 2: "EXTERNAL"})
    moat.expect_equal(link.read()[0], 3)
    return link


def set_password(server, user, password, **more):
    link = own(server)
    link.send(passwd(user, password, **more))
    answer = link.read()
    link.close()
    return answer


def login(server, user, password, **more):
    link = Link(server)
    answer = link.login(user, password, **more)
    return link, answer


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
                                             "--listen", "tls://127.0.0.1:0",
                                             "--listen", "tcp://127.0.0.1:0"]) as server:
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
    moat.expect(any("moat-kv passwd" in line for line in server.log()), server.log())
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


def case_users(server):
    cli = moat.Cli(f"unix:{state()}/link.sock")
    cli.check("set", ":n.users.ann", "{roles: [guest]}")
    cli.check("set", ":n.acl.guest.open.#", "rwcde")
    cli.check("set", "open.door", "true")
    cli.check("set", "secret.door", "false")
    link, answer = login(server, "ann", "pencil")
    moat.expect_equal(answer[2], -23, "no password yet")
    moat.expect_equal(set_password(server, "ann", "pencil")[0], 50)
    moat.expect_equal(set_password(server, "nobody", "pencil")[0], 50)
    moat.expect_equal(set_password(server, "a b", "pencil")[2], -15)
    link, answer = login(server, "ann", "pencil")
    moat.expect_equal(answer[0], 3, answer)
    moat.expect_equal(link.offered, ["SCRAM-SHA-256-PLUS"])
    link.send({0: 20, 1: 1, 2: ["open"]})
    rows = link.read()
    moat.expect_equal([row[1] for row in rows[2]], [["door"]])
    moat.expect_equal(link.read()[0], 41)
    link.send({0: 20, 1: 2, 2: ["secret"]})
    moat.expect_equal(link.read()[2], -23, "a user has the user's rights")
    link.send(passwd("nobody", "x"))
    moat.expect_equal(link.read()[2], -23, "nor another one's password")
    other, answer = login(server, "ann", "pencil")
    moat.expect_equal(answer[0], 3)
    link.send({**passwd("ann", "pencil2"), 1: 8})
    moat.expect_equal(link.read()[0], 50, "but the own one")
    moat.expect_equal(other.read()[2], -23, "who came by the old one has to leave")
    other.close()
    moat.expect_equal(login(server, "ann", "pencil")[1][2], -23, "the old one is gone")
    moat.expect_equal(login(server, "ann", "pencil2")[1][0], 3)
    moat.expect_equal(login(server, "nobody", "pencil")[1][2], -23, "a password makes no user")
    cli.check("set", ":n.users.ann", "{roles: [guest], off: true}")
    moat.expect_equal(link.read()[2], -23, "who is off has to leave, whoever set the password")
    link.close()
    moat.expect_equal(login(server, "ann", "pencil2")[1][2], -23, "off")
    cli.check("set", ":n.users.ann", "{roles: [guest]}")
    moat.expect_equal(login(server, "ann", "pencil2")[1][0], 3)


def gsasl_login(link, password):
    """GNU's own client does the proving; here its lines are carried. The last frame, and gsasl's last words."""
    with subprocess.Popen(["gsasl", "--client", "--mechanism", "SCRAM-SHA-256-PLUS",
                           "--authentication-id", "ann", "--password", password],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as process:
        def say(data):
            process.stdin.write(base64.b64encode(data) + b"\n")
            process.stdin.flush()

        def hear():
            line = process.stdout.readline()
            while line and not line.endswith(b"Output from client:\n"):
                line = process.stdout.readline()
            return base64.b64decode(process.stdout.readline())

        say(link.binding())
        link.send({0: 2, 2: "SCRAM-SHA-256-PLUS", 5: hear()})
        answer = link.read()
        say(answer[2])
        link.send({0: 9, 2: hear()})
        answer = link.read()
        if answer[0] == 8: # the server's proof
            say(answer[2])
            say(b"")
            answer = link.read()
        process.stdin.close()
        return answer, process.stdout.read().decode()


def case_gsasl(server):
    link = Link(server)
    answer, words = gsasl_login(link, "pencil2")
    moat.expect_equal(answer[0], 3, answer)
    moat.expect("server trusted" in words, words)
    link.close()
    link = Link(server)
    answer, words = gsasl_login(link, "wrong")
    moat.expect_equal((answer[0], answer[2]), (5, -23), answer)
    moat.expect("server trusted" not in words, words)
    link.close()


def case_kept(server):
    """Over a restart, and the salts of users that there are not, too."""
    link, answer = login(server, "eve", "x")
    before = link.challenge.partition(",s=")[2]
    moat.expect_equal(server.stop(), 0)
    server.start()
    moat.expect_equal(login(server, "ann", "pencil2")[1][0], 3)
    link, again = login(server, "eve", "y")
    moat.expect_equal(link.challenge.partition(",s=")[2], before)
    moat.expect_equal(again, answer, "nor does the answer tell")
    wrong = login(server, "ann", "y")[1]
    moat.expect_equal(wrong, answer)


def case_downgrade(server):
    """Less than what is offered, another connection's proof, an edited greeting: all the same answer."""
    for mechanism in ("SCRAM-SHA-256", "PLAIN", "ANONYMOUS", "EXTERNAL", ""):
        moat.expect_equal(login(server, "ann", "pencil2", mechanism=mechanism)[1][2], -23)
    other = Link(server)
    binding = other.binding()
    moat.expect_equal(login(server, "ann", "pencil2", binding=binding)[1][2], -23, "replayed")
    other.close()
    edited = Link(server, edit=lambda hello: hello + b"x")
    moat.expect_equal(edited.login("ann", "pencil2")[2], -23, "an edited greeting")
    link = Link(server)
    link.send({0: 2, 2: "SCRAM-SHA-256-PLUS", 5: b"x" * 4097})
    moat.expect_equal(link.read()[0], 5, "too large")
    link = Link(server)
    link.send({0: 9, 2: b"x"})
    moat.expect_equal(link.read()[2], -18, "a response to nothing")


def case_back_off(server):
    """Many wrong passwords: they are slowed down, others are not, and the server serves."""
    cli = moat.Cli(f"unix:{state()}/link.sock")
    cli.check("set", ":n.users.bob", "{roles: [guest]}")
    moat.expect_equal(set_password(server, "bob", "brush")[0], 50)
    told = {}
    for user in "nobody.there", "bob":  # whether there is such a user or not
        told[user] = []
        while len(told[user]) < 100 and -28 not in [answer[2] for answer in told[user]]:
            told[user].append(login(server, user, "wrong")[1])
    moat.expect_equal(login(server, "bob", "brush")[1][2], -28, "even the right one has to wait")
    for answers in told.values():
        moat.expect_equal([answer[2] for answer in answers[:5]], [-23] * 5)
    moat.expect_equal([told["bob"][n] for n in (0, -1)], [told["nobody.there"][n] for n in (0, -1)],
                      "nor in words")
    moat.expect_equal(login(server, "ann", "pencil2")[1][0], 3, "others need not")
    cli.check("ping")
    moat.wait_until("bob may try again", lambda: login(server, "bob", "brush")[1][0] == 3)


def case_loopback(server):
    """Without TLS there is no other way in than by password, either."""
    link = Link(server, tcp=True)
    moat.expect_equal(link.offered, ["SCRAM-SHA-256"])
    moat.expect_equal(link.login("ann", "pencil2", "ANONYMOUS")[2], -23)
    link = Link(server, tcp=True)
    moat.expect_equal(link.login("ann", "pencil2", "SCRAM-SHA-256")[0], 3)
    link.close()
    done = moat.Cli(f"tcp://127.0.0.1:{port_of(server, 'tcp://')}").run("get", "open.door")
    moat.expect("moat-kv login" in done.error, done)


def keys():
    """What a server shows another one, by each key of its ring: user and password."""
    with open(state() + "/cluster.key", encoding="ascii") as file:
        lines = [line.split() for line in file]
    return [(":server/" + name, hashlib.blake2b(b"moat-kv link 1", digest_size=32,
                                                key=bytes.fromhex(key)).hexdigest())
            for name, key in lines]


def case_servers(server):
    """A server of our own, which proves by the cluster's key what it is."""
    for tcp, mechanism in ((False, "SCRAM-SHA-256-PLUS"), (True, "SCRAM-SHA-256")):
        link = Link(server, name="other", tcp=tcp)
        answer = link.login(*keys()[0], mechanism)
        moat.expect_equal(answer[0], 7, answer)
        link.send({0: 26, 1: 1, 2: [[b"", b""]]})
        moat.expect_equal(link.read()[0], 47, "what servers ask is answered")
        link.close()
    user, password = keys()[0]
    for what, name, *login in (
            ("another key", "other", user, "0" * 64), ("no such key", "other", ":server/0", password),
            ("no server", None, user, password), ("a user", "other", "ann", "pencil2"),
            ("not bound", "other", user, password, "SCRAM-SHA-256"),
            ("not at all", "other", user, password, "EXTERNAL")):
        for _ in range(7 if what == "another key" else 1):  # nor does that keep out the right one
            answer = Link(server, name=name).login(*login)
            moat.expect_equal((answer[0], answer[2]), (5, -23), what)
    moat.expect_equal(Link(server, name="other").login(*keys()[0])[0], 7)
    other = Link(server, name="other")
    moat.expect_equal(Link(server, name="other").login(*keys()[0], binding=other.binding())[2], -23,
                      "passed on")


def case_servers_with_new_keys(server):
    """All keys of the ring are good, and no others."""
    old = keys()[0]
    for n in range(1, 4):
        moat.expect_equal(kvd("key", "rotate", "--state", state()).returncode, 0)
        n_said = len([line for line in server.log() if "keys have been read again" in line])
        os.kill(server.pid, signal.SIGHUP)
        moat.wait_until("the keys to be read", lambda: n_said < len(
            [line for line in server.log() if "keys have been read again" in line]))
        moat.expect_equal(Link(server, name="other").login(*keys()[0])[0], 7)
        moat.expect_equal(Link(server, name="other").login(*old)[0], 7 if n < 3 else 5)


class Between:
    """Somebody in between, with a certificate of their own, who may change what passes."""

    def __init__(self, port, edit):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.real, self.edit = port, edit
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(state("eve") + "/tls.crt", state("eve") + "/tls.key")
        while True:
            try:
                client = context.wrap_socket(self.listener.accept()[0], server_side=True)
            except ssl.SSLError:
                continue
            except OSError:
                return
            server = connect(self.real)
            hello = read_frame(server)
            send_frame(client, self.edit(hello))
            for one, other in ((client, server), (server, client)):
                threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    @staticmethod
    def _pass(one, other):
        try:
            more = one.recv(65536)
            while more:
                other.sendall(more)
                more = one.recv(65536)
            other.close()
        except (OSError, ValueError):
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()


def log_in(port, user, password, *options, token="token"):
    return moat.Cli().run("login", user, "--server", f"tls://127.0.0.1:{port}", "--password-file",
                          "-", *options, stdin=password.encode() + b"\n",
                          MOAT_KV_TOKEN=state(token))


def case_eve():
    moat.expect_equal(kvd("cert", "--state", state("eve"), "--host", "127.0.0.1").returncode, 0)


def case_command_line(server):
    cli = moat.Cli(f"unix:{state()}/link.sock")
    port = port_of(server)
    cli.check("user", "passwd", "ann", "--password-file", "-", stdin=b"crayon\n")
    cli.check("passwd", "ann", "--password-file", "-", stdin=b"\n", status=6)
    cli.check("passwd", "ann", "--password-file", "/nowhere", status=6)
    wrong = log_in(port, "ann", "pencil")
    unknown = log_in(port, "zoe", "pencil")
    moat.expect_equal((wrong.status, wrong.err), (4, unknown.err), wrong)
    moat.expect(not os.path.exists(state("token")), "nothing is kept of that")
    moat.expect_equal(log_in(port, "ann", "crayon", "--ca", state("eve") + "/tls.crt").status, 4)
    moat.expect_equal(moat.Cli().run("login", "ann").status, 2)
    done = log_in(port, "ann", "crayon", "--ca", state() + "/tls.crt")
    moat.expect_equal(done.status, 0, done)
    done = log_in(port, "ann", "crayon")
    moat.expect_equal(done.status, 0, done)
    moat.expect_equal(stat.S_IMODE(os.stat(state("token")).st_mode), 0o600)
    with open(state("token"), encoding="utf-8") as file:
        moat.expect("crayon" not in file.read(), "the password is nowhere")
    mine = dict(MOAT_KV_TOKEN=state("token"))
    moat.expect_equal(moat.Cli().check("get", "open.door", **mine).text, "true\n")
    moat.Cli().check("get", "secret.door", status=4, **mine)
    moat.Cli().check("passwd", "bob", "--password-file", "-", stdin=b"x\n", status=4, **mine)
    moat.Cli().check("get", "open.door", status=4, MOAT_KV_SERVER=f"tls://127.0.0.1:{port}",
                     MOAT_KV_TOKEN="")
    os.chmod(state("token"), 0o644)
    moat.expect(moat.Cli().run("get", "open.door", **mine).status != 0, "others may read it")
    os.chmod(state("token"), 0o600)


def case_between(server):
    """Whoever sits in between learns nothing, and cannot make anybody be content with less."""
    less = [{6: ["SCRAM-SHA-256", "ANONYMOUS", "EXTERNAL"]}, {6: []}, {}]
    for change in less:
        with Between(port_of(server), lambda hello: {**hello, **change}) as eve:
            done = log_in(eve.port, "ann", "crayon", token="eve.token")
            moat.expect_equal(done.status, 4, done)
            moat.expect(not os.path.exists(state("eve.token")))
    with open(state("token"), encoding="utf-8") as file:
        token = file.read()
    with Between(port_of(server), lambda hello: hello) as eve:
        with open(state("token2"), "w", encoding="utf-8",
                  opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(re.sub(r"127.0.0.1:\d+", f"127.0.0.1:{eve.port}", token))
        done = moat.Cli().run("get", "open.door", MOAT_KV_TOKEN=state("token2"))
        moat.expect_equal(done.status, 4, done)
        moat.expect("certificate" in done.error, done)


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
            ("users and passwords", with_server(case_users)),
            ("gsasl logs in", with_server(case_gsasl)),
            ("what is kept", with_server(case_kept)),
            ("nothing less", with_server(case_downgrade)),
            ("without TLS", with_server(case_loopback)),
            ("servers", with_server(case_servers)),
            ("back-off", with_server(case_back_off)),
            ("somebody in between: certificates", case_eve),
            ("moat-kv passwd and login", with_server(case_command_line)),
            ("somebody in between", with_server(case_between)),
            ("servers with new keys", with_server(case_servers_with_new_keys)),
        ])


main()
