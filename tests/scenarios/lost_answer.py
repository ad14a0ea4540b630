"""Answers that are lost on their way, and boto3 that tries again by itself: one command, run once. Called by lost_answer.rs with the
id of the one node and a file there that each run adds a line to.

A proxy in front of the bridge hands a request on and hangs up before the answer is handed back.
"""

import os
import select
import socket
import subprocess
import sys
import threading
import time
import urllib.parse

import boto3
from botocore.config import Config

NODE, FILE = sys.argv[1:3]
ENDPOINT = os.environ["AWS_ENDPOINT_URL_SSM"]
assert urllib.parse.urlsplit(ENDPOINT).scheme == "http", ENDPOINT


class LosingProxy:
    """Loses the first answers to SendCommand and CreateActivation, as many as `lose` says."""

    def __init__(self):
        address = urllib.parse.urlsplit(ENDPOINT)
        self.behind = (address.hostname, address.port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.lose, self.lost = 0, 0
        threading.Thread(target=self.serve, daemon=True).start()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def serve(self):
        while True:
            client, _ = self.listener.accept()
            threading.Thread(target=self.carry, args=(client,), daemon=True).start()

    def carry(self, client):
        with client, socket.create_connection(self.behind) as bridge:
            changes = False
            while True:
                for side in select.select([client, bridge], [], [])[0]:
                    data = side.recv(65536)
                    if not data:
                        return
                    if side is client:
                        changes = changes or b"AmazonSSM.SendCommand" in data or b"AmazonSSM.CreateActivation" in data
                        bridge.sendall(data)
                    elif changes and self.lost < self.lose:
                        # The bridge has answered, so it is done.
                        self.lost += 1
                        return
                    else:
                        client.sendall(data)


def commands():
    direct = boto3.client("ssm", endpoint_url=ENDPOINT)
    pages = direct.get_paginator("list_commands").paginate()
    return [command["CommandId"] for page in pages for command in page["Commands"]]


def loses(proxy, count):
    proxy.lose, proxy.lost = count, 0


def runs(seconds=60):
    """Waits until the command has run, and a while longer for a second run that must not come."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not os.path.exists(FILE):
        time.sleep(0.1)
    time.sleep(1)
    return open(FILE).read().split()


def boto3_tries_again(proxy, mode):
    client = boto3.client("ssm", endpoint_url=proxy.endpoint, config=Config(retries={"mode": mode, "total_max_attempts": 4}))
    before = commands()
    loses(proxy, 2)
    answer = client.send_command(
        DocumentName="AWS-RunShellScript", InstanceIds=[NODE], Parameters={"commands": [f"echo {mode} >> {FILE}"]}
    )
    assert proxy.lost == 2, proxy.lost
    made = set(commands()) - set(before)
    assert made == {answer["Command"]["CommandId"]}, (made, answer)
    assert runs() == [mode], runs()
    os.unlink(FILE)


def activations(proxy):
    client = boto3.client("ssm", endpoint_url=proxy.endpoint, config=Config(retries={"mode": "standard", "total_max_attempts": 4}))
    count = lambda: sum(len(page["ActivationList"]) for page in client.get_paginator("describe_activations").paginate())
    before = count()
    loses(proxy, 1)
    answer = client.create_activation(IamRole="none")
    assert proxy.lost == 1 and answer["ActivationCode"] and count() == before + 1, (proxy.lost, before, count())


def aws_tries_again(proxy):
    before = commands()
    loses(proxy, 1)
    done = subprocess.run(
        [os.environ["AWS"], "ssm", "send-command", "--endpoint-url", proxy.endpoint, "--document-name", "AWS-RunShellScript"]
        + ["--instance-ids", NODE, "--parameters", f'{{"commands": ["echo aws >> {FILE}"]}}']
        + ["--query", "Command.CommandId", "--output", "text"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done
    assert proxy.lost == 1 and set(commands()) - set(before) == {done.stdout.strip()}, (proxy.lost, done)
    assert runs() == ["aws"], runs()
    os.unlink(FILE)


proxy = LosingProxy()
for mode in ("standard", "legacy"):
    boto3_tries_again(proxy, mode)
activations(proxy)
aws_tries_again(proxy)
print("lost answers: one command each, run once")
