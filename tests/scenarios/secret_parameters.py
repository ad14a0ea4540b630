"""A SecureString parameter by the real `aws`. Called by secrets.rs with the id of the node and a file that a script waits for."""

import hashlib
import json
import os
import pathlib
import secrets
import subprocess
import sys
import tempfile
import time

NODE, WAIT = sys.argv[1:]
FOLDER = pathlib.Path(WAIT).parent


def aws(*arguments):
    """Runs `aws ssm …`; returns what it printed as JSON."""
    done = subprocess.run([os.environ["AWS"], "ssm", *arguments, "--output", "json"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, (arguments, done.returncode, done.stdout, done.stderr)
    return json.loads(done.stdout)


value = "aws-" + secrets.token_urlsafe(24)
pathlib.Path(WAIT).touch()
with tempfile.TemporaryDirectory() as outside:
    # `aws` takes parameters from a file, so that they are not among its arguments.
    path = pathlib.Path(outside, "parameters.json")
    path.write_text(json.dumps({"key": [value], "wait": [WAIT]}))
    sent = aws("send-command", "--document-name", "Secret-File", "--instance-ids", NODE, "--parameters", f"file://{path}")["Command"]
assert sent["Parameters"]["key"] == ["****"], sent["Parameters"]

deadline = time.monotonic() + 60
while True:
    found = aws("get-command-invocation", "--command-id", sent["CommandId"], "--instance-id", NODE)
    if found["Status"] not in ("Pending", "InProgress", "Delayed"):
        break
    assert time.monotonic() < deadline, found
    time.sleep(0.2)
assert found["Status"] == "Success", found
assert hashlib.sha256(value.encode()).hexdigest() in found["StandardOutputContent"], found
assert value not in json.dumps(found) and "****" in found["StandardOutputContent"], found
listed = aws("list-commands", "--command-id", sent["CommandId"])["Commands"][0]
assert listed["Parameters"]["key"] == ["****"], listed
described = aws("describe-document", "--name", "Secret-File")["Document"]["Parameters"]
assert {"key", "wait"} == {parameter["Name"] for parameter in described}, described
hits = [str(path) for path in FOLDER.rglob("*") if path.is_file() and value.encode() in path.read_bytes()]
assert not hits, hits
print("aws ssm send-command with a SecureString: ok")
