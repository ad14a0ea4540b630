"""What the real aws program says of a command whose second step was run again after a reboot. Arguments: the node and the command."""

import json
import os
import subprocess
import sys

node, command = sys.argv[1:]


def aws(*words):
    done = subprocess.run([os.environ["AWS"], "ssm", *words, "--output", "json"], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


invocations = aws("list-command-invocations", "--command-id", command, "--details")["CommandInvocations"]
assert [invocation["Status"] for invocation in invocations] == ["Success"], invocations
steps = {step["Name"]: (step["Status"], step["Output"]) for step in invocations[0]["CommandPlugins"]}
assert steps["before"] == ("Success", "before\n"), steps
assert steps["asks"] == ("Success", "asks\nasks\n"), steps
one = aws("get-command-invocation", "--command-id", command, "--instance-id", node, "--plugin-name", "asks")
assert (one["Status"], one["ResponseCode"], one["StandardOutputContent"]) == ("Success", 0, "asks\nasks\n"), one
print("aws shows all steps of a command that a reboot has cut in two")
