# SPDX-License-Identifier: Apache-2.0
"""
A real mosquitto with the guard, connections to it, and what a server would tell the guard: written
from docs/protocol.md, section 13, alone, so that it shows where the document and the sources differ.
"""
import hashlib
import os
import shutil
import socket
import sys
import threading
import time

import cbor2
import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))

import moat  # noqa: E402

TOPIC_ROOT = "moat/main"
KEY = bytes(range(32))
ALL = 63
READ, WRITE, CREATE, DELETE, LIST, ADMIN = 1, 2, 4, 8, 16, 32


def tock_of(unix_s):
    return (int(unix_s) - 1577836800) * 1000 << 12


# --- What a server tells the guard ---------------------------------------------------------------

def key_of(*elements):
    """The ordered key of a path of texts and None."""
    return b"".join(b"\x10" if element is None else
                    b"\x60" + element.encode().replace(b"\0", b"\0\xff") + b"\0\1"
                    for element in elements)


def rights_file(users=(), rules=(), keys=(KEY,), root=TOPIC_ROOT, profile=0, version=1):
    """users: (name, roles) or (name, roles, off); rules: (role, filter, allowed, denied)."""
    content = cbor2.dumps({
        0: version, 1: root, 2: profile, 3: list(keys),
        4: [[user[0], len(user) > 2 and user[2], list(user[1])] for user in users],
        5: [[role, key_of(*where), allowed, denied] for role, where, allowed, denied in rules]})
    return hashlib.blake2b(content, digest_size=16).digest() + content


def password_of(client_id, user, key=KEY):
    words = b"moat-kv session 1" + bytes([len(user)]) + user.encode() + client_id.encode()
    return hashlib.blake2b(words, digest_size=16, key=key).hexdigest()


class Credential:
    """What one connects with.  seq 0 is a server."""

    def __init__(self, user=":own", seq=1, name="srv", valid_s=3600, key=KEY):
        expiry = int(time.time()) + valid_s if valid_s else 0
        self.name, self.seq, self.user = name, seq, user
        self.id = f"{name}:{seq}:{expiry}" + (":0123abcd" if seq == 0 else "")
        self.password = password_of(self.id, user, key)

    def tick(self, counter=1):
        return [self.name, self.seq, counter]


def server_credential(mark="0123abcd", name="srv"):
    credential = Credential(":server", 0, name)
    credential.id = credential.id[:-8] + mark
    credential.password = password_of(credential.id, ":server")
    return credential


def update(tick, value="x", tock=1, **more):
    """The payload of an update; value None deletes."""
    message = {0: tock, 2: [tick]}
    if value is not None:
        message[1] = value
    return cbor2.dumps({**message, **more})


# --- The broker ----------------------------------------------------------------------------------

class Broker:
    """A mosquitto with the guard, on a free port."""

    def __init__(self, folder, plugin, options=(), lines=(), rights=b""):
        self.rights = os.path.join(folder, "rights")
        if rights is not None:
            self.tell(rights or rights_file())
        with socket.create_server(("127.0.0.1", 0)) as found:
            self.port = found.getsockname()[1]
        config = os.path.join(folder, "mosquitto.conf")
        guard = [f"plugin {plugin}", f"plugin_opt_rights {self.rights}", *options] if plugin else []
        with open(config, "w", encoding="utf-8") as file:
            file.write("\n".join([
                f"listener {self.port} 127.0.0.1", "log_dest stderr", "log_timestamp false",
                "max_inflight_messages 60000", "max_queued_messages 2000000000",
                *(["user root"] if os.geteuid() == 0 else []), *guard, *lines, ""]))
        program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin")
        self.process = moat.Process([program, "-c", config], dict(os.environ))
        self.process.wait_for_line(lambda line: line.endswith(" running"), "err")

    def tell(self, rights):
        """As a server does it: a new file takes the name of the old one."""
        with open(self.rights + ".new", "wb") as file:
            file.write(rights)
        os.rename(self.rights + ".new", self.rights)

    def log(self):
        return self.process.output("err")

    def refusals(self):
        return [line for line in self.log() if line.startswith("moat-kv-guard: refused")]

    def wait_for_log(self, text):
        return self.process.wait_for_line(lambda line: text in line, "err")[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.__exit__()


# --- Connections ---------------------------------------------------------------------------------

class Connection:
    """A client of MQTT 5, or 3.1.1, with all that it was told."""

    def __init__(self, broker, credential=None, client_id=None, protocol=mqtt.MQTTv5, will=None,
                 user=None, password=None):
        if credential is not None:
            client_id = credential.id if client_id is None else client_id
            user = credential.user if user is None else user
            password = credential.password if password is None else password
        options = {"clean_session": True} if protocol == mqtt.MQTTv311 else {}
        self.client = mqtt.Client(client_id or "", protocol=protocol, **options)
        self.client.max_inflight_messages_set(1000)
        self.changed = threading.Condition()
        self.connack = None
        self.lost = None
        self.messages = []
        self.pubacks = {}
        self.subacks = {}
        self.client.on_connect = lambda _c, _u, _f, code, *_: self._note("connack", code)
        self.client.on_disconnect = self._on_disconnect
        self.client.on_message = self._on_message
        self.client.on_subscribe = lambda _c, _u, mid, codes, *_: self._keep(
            self.subacks, mid, [int(getattr(code, "value", code)) for code in codes])
        # paho keeps the reason of a PUBACK to itself.
        self.client._handle_pubackcomp = self._on_puback
        if user is not None:
            self.client.username_pw_set(user, password)
        if will is not None:
            self.client.will_set(*will)
        self.client.connect("127.0.0.1", broker.port, keepalive=60)
        self.client.loop_start()
        self.wait(lambda: self.connack is not None or self.lost is not None, "CONNACK")

    def _note(self, name, code):
        with self.changed:
            if getattr(self, name) is None:
                setattr(self, name, int(getattr(code, "value", code)))
            self.changed.notify_all()

    def _on_disconnect(self, client, _user, code, *_):
        self._note("lost", code)
        client.disconnect()  # it would connect again by itself

    def _keep(self, table, key, value):
        with self.changed:
            table[key] = value
            self.changed.notify_all()

    def _on_message(self, _client, _user, message):
        with self.changed:
            self.messages.append((message.topic, message.payload))
            self.changed.notify_all()

    def _on_puback(self, _command):
        packet = self.client._in_packet["packet"]
        self._keep(self.pubacks, packet[0] << 8 | packet[1], packet[2] if len(packet) > 2 else 0)
        with self.client._out_message_mutex:
            self.client._out_messages.pop(packet[0] << 8 | packet[1], None)
            self.client._inflight_messages -= 1
        return mqtt.MQTT_ERR_SUCCESS

    def wait(self, condition, what):
        with self.changed:
            if not self.changed.wait_for(condition, moat.DEADLINE_S):
                raise moat.Failure(f"waited in vain for {what}")

    @property
    def accepted(self):
        return self.connack == 0

    def publish(self, topic, payload, retain=False, qos=1, alias=None):
        """The reason code of the PUBACK."""
        properties = None
        if alias is not None:
            properties = Properties(PacketTypes.PUBLISH)
            properties.TopicAlias = alias
        info = self.client.publish(topic, payload, qos=qos, retain=retain, properties=properties)
        if qos == 0:
            return None
        self.wait(lambda: info.mid in self.pubacks or self.lost is not None, "PUBACK")
        return self.pubacks.get(info.mid, -1)

    def subscribe(self, *filters):
        """The codes of the SUBACK."""
        mid = self.client.subscribe([(one, 1) for one in filters])[1]
        self.wait(lambda: mid in self.subacks or self.lost is not None, "SUBACK")
        return self.subacks.get(mid)

    def topics(self):
        with self.changed:
            return [topic for topic, _ in self.messages]

    def until_got(self, topic, n=1):
        """All topics so far, once @topic has come @n times: what was not refused came before it."""
        self.wait(lambda: [t for t, _ in self.messages].count(topic) >= n, topic)
        return self.topics()

    def close(self, orderly=True):
        if orderly:
            self.client.disconnect()
        self.client.loop_stop()
        if not orderly:
            self.client._sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
