# SPDX-License-Identifier: Apache-2.0
"""Somebody else at the broker, who knows nothing of us: a client of MQTT 3.1.1."""
import threading

import paho.mqtt.client as paho

import rig


class Bus:
    """Keeps what was said last on each topic (bytes), and how often."""

    def __init__(self, broker, wanted="#", qos=1):
        self.last = {}
        self.n = {}
        self.joined = threading.Event()
        self.client = paho.Client("", protocol=paho.MQTTv311, clean_session=True)
        self.client.on_message = lambda _client, _data, message: self.hear(message.topic,
                                                                           message.payload)
        self.client.on_subscribe = lambda *_: self.joined.set()
        self.client.connect("127.0.0.1", broker.port)
        self.client.max_inflight_messages_set(1000)
        self.client.max_queued_messages_set(0)
        self.client.subscribe(wanted, qos)
        self.client.loop_start()
        rig.check(self.joined.wait(rig.patience(20)), "no SUBACK")

    def hear(self, topic, payload):
        self.last[topic] = payload
        self.n[topic] = self.n.get(topic, 0) + 1

    def say(self, topic, payload, retain=False):
        return self.client.publish(topic, payload, 1, retain)

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()
