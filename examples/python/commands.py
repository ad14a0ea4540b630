"""Runs a script on every node that is connected and prints what each of them said; then starts a long one and cancels it.

    python commands.py
    python commands.py 'df -h /'
"""

import sys

import boto3
from botocore.exceptions import WaiterError

ssm = boto3.client("ssm")
# Asks every second, for five minutes at most; boto3's own pace is every five seconds, twenty times.
PACE = {"Delay": 1, "MaxAttempts": 300}


def online():
    pages = ssm.get_paginator("describe_instance_information").paginate(Filters=[{"Key": "PingStatus", "Values": ["Online"]}])
    return [node["InstanceId"] for page in pages for node in page["InstanceInformationList"]]


def send(script, node_ids):
    sent = ssm.send_command(
        DocumentName="AWS-RunShellScript",
        # For more than 50 nodes, and for nodes by their tags: Targets=[{"Key": "tag:site", "Values": ["north"]}]
        InstanceIds=node_ids[:50],
        Parameters={"commands": [script]},
        Comment="examples/python/commands.py",
        MaxConcurrency="50%",
        MaxErrors="1",
    )
    return sent["Command"]["CommandId"]


def wait(command_id, node_id):
    """Until the command has ended on the node; whether it succeeded."""
    try:
        ssm.get_waiter("command_executed").wait(CommandId=command_id, InstanceId=node_id, WaiterConfig=PACE)
        return True
    except WaiterError:
        return False


def show(command_id, node_id):
    result = ssm.get_command_invocation(CommandId=command_id, InstanceId=node_id)
    print(f"{node_id}: {result['StatusDetails']}, exit code {result['ResponseCode']}")
    print(result["StandardOutputContent"] or result["StandardErrorContent"], end="")


def run(script, node_ids):
    command_id = send(script, node_ids)
    for node_id in node_ids:
        wait(command_id, node_id)
        show(command_id, node_id)


def start_and_cancel(node_ids):
    command_id = send("sleep 600", node_ids)
    ssm.cancel_command(CommandId=command_id)
    for node_id in node_ids:
        assert not wait(command_id, node_id), "a command that was cancelled is no success"
    pages = ssm.get_paginator("list_command_invocations").paginate(CommandId=command_id)
    print("after the cancel:", {entry["InstanceId"]: entry["Status"] for page in pages for entry in page["CommandInvocations"]})


def history(most):
    """The newest commands; `MaxItems` stops the paginator, however many there are."""
    pages = ssm.get_paginator("list_commands").paginate(PaginationConfig={"MaxItems": most})
    for command in (command for page in pages for command in page["Commands"]):
        print(f"{command['RequestedDateTime']:%H:%M:%S}  {command['DocumentName']}  {command['Status']}"
              f"  {command['CompletedCount']} of {command['TargetCount']} nodes, {command['ErrorCount']} errors")


def main():
    node_ids = online()
    run(sys.argv[1] if len(sys.argv) > 1 else "uname -sr", node_ids)
    start_and_cancel(node_ids)
    history(10)


if __name__ == "__main__":
    main()
