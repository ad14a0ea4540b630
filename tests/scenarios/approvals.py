"""A command that people must sign, as the real `aws` sees it: sent, and Pending. Its id goes into the file of the last argument."""

import json
import os
import subprocess
import sys

node, script, result = sys.argv[1:4]


def aws(*arguments):
    done = subprocess.run([os.environ["AWS"], "ssm", *arguments, "--output", "json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


sent = aws(
    "send-command",
    "--document-name", "AWS-RunShellScript",
    "--instance-ids", node,
    "--timeout-seconds", str(14 * 86400),
    "--parameters", json.dumps({"commands": [script]}),
)["Command"]
assert (sent["Status"], sent["StatusDetails"]) == ("Pending", "Pending"), sent
shown = aws("get-command-invocation", "--command-id", sent["CommandId"], "--instance-id", node)
assert (shown["Status"], shown["StatusDetails"]) == ("Pending", "Pending"), shown
with open(result, "w", encoding="ascii") as file:
    file.write(sent["CommandId"])
print("aws: a command that people must sign is Pending")
