"""The operators' own programs against a real fleet: `aws` and boto3, unchanged. Called by spine.rs with the id of the one node.

Each function is one thing that must work; a failed assertion ends the script with a traceback.
"""

import json
import os
import subprocess
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, WaiterError

NODE = sys.argv[1]
SHELL = "AWS-RunShellScript"
ssm = boto3.client("ssm", config=Config(retries={"max_attempts": 1}))


def aws(*arguments, fails=None):
    """Runs `aws ssm …`; returns what it printed as JSON, or its error text where it must fail with the error `fails`."""
    done = subprocess.run([os.environ["AWS"], "ssm", *arguments, "--output", "json"], capture_output=True, text=True, timeout=60)
    if fails:
        assert done.returncode != 0 and fails in done.stderr, (arguments, done.returncode, done.stdout, done.stderr)
        return done.stderr
    assert done.returncode == 0, (arguments, done.returncode, done.stdout, done.stderr)
    return json.loads(done.stdout) if done.stdout.strip() else {}


def until(what, look, seconds=60):
    """Waits on a level, with a limit."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError("did not happen: " + what)


def refused(name, call, **arguments):
    """The call must be refused with the modelled exception of this name, found as boto3's users find it."""
    try:
        call(**arguments)
    except getattr(ssm.exceptions, name) as error:
        assert error.response["Error"]["Message"], name
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400, error.response
        return
    raise AssertionError("not refused: " + name)


def refused_by_code(code, call, **arguments):
    """The call must be refused with one of the general errors, which the model does not list."""
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error.response
        return
    raise AssertionError("not refused: " + code)


def send(script, **more):
    return ssm.send_command(DocumentName=SHELL, InstanceIds=[NODE], Parameters={"commands": script}, **more)["Command"]["CommandId"]


def result(command):
    return until(
        "the end of " + command,
        lambda: (lambda got: got["Status"] in ("Success", "Failed", "Cancelled", "TimedOut") and got)(
            ssm.get_command_invocation(CommandId=command, InstanceId=NODE)
        ),
    )


def the_five_commands_of_the_command_line():
    [node] = aws("describe-instance-information")["InstanceInformationList"]
    assert node["InstanceId"] == NODE and node["PingStatus"] == "Online", node
    sent = aws(
        "send-command", "--document-name", SHELL, "--instance-ids", NODE, "--parameters", "commands=echo hello", "--comment", "from aws"
    )["Command"]
    assert sent["DocumentName"] == SHELL and sent["Parameters"] == {"commands": ["echo hello"]}, sent
    command = sent["CommandId"]
    # No wait between: read-after-write.
    aws("get-command-invocation", "--command-id", command, "--instance-id", NODE)
    ended = until(
        "the end",
        lambda: (lambda got: got["Status"] == "Success" and got)(
            aws("get-command-invocation", "--command-id", command, "--instance-id", NODE)
        ),
    )
    assert ended["StandardOutputContent"] == "hello\n" and ended["ResponseCode"] == 0, ended
    assert ended["StatusDetails"] == "Success" and ended["Comment"] == "from aws", ended
    assert ended["ExecutionStartDateTime"] and ended["ExecutionEndDateTime"] and ended["ExecutionElapsedTime"].startswith("PT"), ended
    [invocation] = aws("list-command-invocations", "--command-id", command, "--details")["CommandInvocations"]
    [plugin] = invocation["CommandPlugins"]
    assert plugin["Output"].startswith("hello\n") and plugin["Status"] == "Success" and plugin["ResponseCode"] == 0, plugin
    assert invocation["InstanceId"] == NODE and invocation["Status"] == "Success", invocation
    [plain] = aws("list-command-invocations", "--command-id", command)["CommandInvocations"]
    assert not plain.get("CommandPlugins"), plain

    long = aws("send-command", "--document-name", SHELL, "--instance-ids", NODE, "--parameters", "commands=sleep 300")["Command"]["CommandId"]
    until(
        "the start",
        lambda: aws("get-command-invocation", "--command-id", long, "--instance-id", NODE)["Status"] == "InProgress",
    )
    aws("cancel-command", "--command-id", long)
    ended = result(long)
    assert ended["Status"] == "Cancelled" and ended["StatusDetails"] == "Canceled", ended
    whole = until(
        "the command as a whole",
        lambda: (lambda got: got["Status"] == "Cancelled" and got)(ssm.list_commands(CommandId=long)["Commands"][0]),
    )
    assert whole["TargetCount"] == 1 and whole["CompletedCount"] == 1, whole
    aws("send-command", "--document-name", "No-Such-Document", "--instance-ids", NODE, fails="InvalidDocument")


def waiters():
    waiter = ssm.get_waiter("command_executed")
    pace = {"Delay": 1, "MaxAttempts": 60}
    waiter.wait(CommandId=send(["true"]), InstanceId=NODE, WaiterConfig=pace)
    failing = send(["echo why >&2", "exit 7"])
    try:
        waiter.wait(CommandId=failing, InstanceId=NODE, WaiterConfig=pace)
    except WaiterError as error:
        assert error.last_response["ResponseCode"] == 7 and "why" in error.last_response["StandardErrorContent"], error.last_response
    else:
        raise AssertionError("the waiter took a failure for a success")


def paginators():
    for number in range(5):
        send(["echo %d" % number], Comment="page %d" % number)
        ssm.create_activation(IamRole="none", DefaultInstanceName="page%d" % number)
    every = {
        "list_commands": ("Commands", "CommandId", {}),
        "list_command_invocations": ("CommandInvocations", "CommandId", {"InstanceId": NODE}),
        "describe_activations": ("ActivationList", "ActivationId", {}),
        "list_documents": ("DocumentIdentifiers", "Name", {}),
    }
    for operation, (member, key, arguments) in every.items():
        pages = list(ssm.get_paginator(operation).paginate(PaginationConfig={"PageSize": 2}, **arguments))
        seen = [entry[key] for page in pages for entry in page[member]]
        whole = [entry[key] for entry in getattr(ssm, operation)(MaxResults=50, **arguments)[member]]
        assert seen == whole and len(set(seen)) == len(seen) and len(seen) >= 1, (operation, len(seen), len(whole))
        assert all(len(page[member]) <= 2 for page in pages), operation
        if operation != "list_documents":
            assert len(pages) >= 3, (operation, len(pages))
    nodes = ssm.get_paginator("describe_instance_information").paginate(PaginationConfig={"PageSize": 5}).build_full_result()
    assert [node["InstanceId"] for node in nodes["InstanceInformationList"]] == [NODE], nodes
    refused("InvalidNextToken", ssm.list_commands, NextToken="bogus")


def names_of_errors():
    stranger = "mi-00000000000000000"
    unknown = "00000000-0000-7000-8000-000000000000"
    script = {"commands": ["true"]}
    refused("InvalidInstanceId", ssm.send_command, DocumentName=SHELL, InstanceIds=[stranger], Parameters=script)
    refused("InvalidDocument", ssm.send_command, DocumentName="No-Such-Document", InstanceIds=[NODE])
    refused("InvalidParameters", ssm.send_command, DocumentName=SHELL, InstanceIds=[NODE], Parameters={"wrong": ["x"]})
    refused("InvalidParameters", ssm.send_command, DocumentName=SHELL, InstanceIds=[NODE])
    refused("DuplicateInstanceId", ssm.send_command, DocumentName=SHELL, InstanceIds=[NODE, NODE], Parameters=script)
    refused("InvocationDoesNotExist", ssm.get_command_invocation, CommandId=unknown, InstanceId=NODE)
    refused("InvalidCommandId", ssm.cancel_command, CommandId=unknown)
    refused("InvalidDocument", ssm.get_document, Name="No-Such-Document")
    refused("InvalidDocument", ssm.describe_document, Name="No-Such-Document")
    refused("InvalidDocument", ssm.delete_document, Name="No-Such-Document")
    refused("InvalidActivation", ssm.delete_activation, ActivationId=unknown)
    refused("InvalidInstanceId", ssm.deregister_managed_instance, InstanceId=stranger)
    refused("InvalidResourceId", ssm.list_tags_for_resource, ResourceType="ManagedInstance", ResourceId=stranger)
    refused_by_code(
        "ValidationException", ssm.send_command, DocumentName=SHELL, InstanceIds=[NODE], Parameters=script, MaxConcurrency="0"
    )
    refused_by_code("ValidationException", ssm.send_command, DocumentName=SHELL, InstanceIds=["not an id"], Parameters=script)
    wrong = boto3.client("ssm", aws_secret_access_key="wrong", aws_access_key_id=os.environ["AWS_ACCESS_KEY_ID"])
    for client, code in ((wrong, "SignatureDoesNotMatch"), (boto3.client("ssm", aws_access_key_id="AKIAUNKNOWN", aws_secret_access_key="x"), "UnrecognizedClientException")):
        try:
            client.describe_instance_information()
        except ClientError as error:
            assert error.response["Error"]["Code"] in (code, "InvalidSignatureException"), error.response
        else:
            raise AssertionError("a wrong key was accepted")


CONTENT = {
    "schemaVersion": "2.2",
    "description": "greets",
    "parameters": {
        "name": {"type": "String", "default": "nobody", "allowedPattern": "^[a-z]+$"},
        "lines": {"type": "StringList", "default": []},
        "loud": {"type": "Boolean", "default": False},
    },
    "mainSteps": [
        {
            "action": "aws:runShellScript",
            "name": "greet",
            "inputs": {"runCommand": ["echo 'hello {{ name }} {{ loud }} {{ unknown }}'", "{{ lines }}"], "timeoutSeconds": "60"},
        },
        {"action": "aws:runShellScript", "name": "leave", "inputs": {"runCommand": ["echo bye"]}},
    ],
}
YAML = """
schemaVersion: "2.2"
description: in YAML
mainSteps:
  - action: aws:runShellScript
    name: only
    inputs:
      runCommand:
        - echo from yaml
"""


def documents():
    made = ssm.create_document(Name="Greet", Content=json.dumps(CONTENT), DocumentType="Command", DocumentFormat="JSON")
    described = made["DocumentDescription"]
    assert described["Name"] == "Greet" and described["SchemaVersion"] == "2.2" and described["DocumentVersion"] == "1", described
    assert {parameter["Name"] for parameter in described["Parameters"]} == {"name", "lines", "loud"}, described
    refused("DocumentAlreadyExists", ssm.create_document, Name="Greet", Content=json.dumps(CONTENT), DocumentType="Command")
    assert json.loads(ssm.get_document(Name="Greet")["Content"]) == CONTENT
    assert ssm.describe_document(Name="Greet")["Document"]["Status"] == "Active"
    ssm.create_document(Name="Greet-Yaml", Content=YAML, DocumentType="Command", DocumentFormat="YAML")
    names = [entry["Name"] for page in ssm.get_paginator("list_documents").paginate() for entry in page["DocumentIdentifiers"]]
    assert {"Greet", "Greet-Yaml", SHELL} <= set(names), names
    owned = ssm.list_documents(Filters=[{"Key": "Owner", "Values": ["Self"]}])["DocumentIdentifiers"]
    assert SHELL not in [entry["Name"] for entry in owned], owned

    command = ssm.send_command(
        DocumentName="Greet", InstanceIds=[NODE], Parameters={"name": ["world"], "lines": ["echo one", "echo two"], "loud": ["true"]}
    )["Command"]["CommandId"]
    result(command)
    [invocation] = ssm.list_command_invocations(CommandId=command, Details=True)["CommandInvocations"]
    greet, leave = invocation["CommandPlugins"]
    assert greet["Name"] == "greet" and greet["Output"].startswith("hello world true {{ unknown }}\none\ntwo\n"), greet
    assert leave["Name"] == "leave" and leave["Output"].startswith("bye\n"), leave
    one = ssm.get_command_invocation(CommandId=command, InstanceId=NODE, PluginName="leave")
    assert one["StandardOutputContent"] == "bye\n", one
    refused("InvalidPluginName", ssm.get_command_invocation, CommandId=command, InstanceId=NODE, PluginName="nothing")
    refused("InvalidParameters", ssm.send_command, DocumentName="Greet", InstanceIds=[NODE], Parameters={"name": ["UPPER; rm"]})

    command = ssm.send_command(DocumentName="Greet-Yaml", InstanceIds=[NODE])["Command"]["CommandId"]
    assert result(command)["StandardOutputContent"] == "from yaml\n"
    for name in ("Greet", "Greet-Yaml"):
        ssm.delete_document(Name=name)
        refused("InvalidDocument", ssm.get_document, Name=name)


def tags():
    resource = {"ResourceType": "ManagedInstance", "ResourceId": NODE}
    ssm.add_tags_to_resource(Tags=[{"Key": "site", "Value": "north"}, {"Key": "row", "Value": "7"}], **resource)
    assert {tag["Key"]: tag["Value"] for tag in ssm.list_tags_for_resource(**resource)["TagList"]} == {"site": "north", "row": "7"}
    for target in ([{"Key": "tag:site", "Values": ["south", "north"]}], [{"Key": "InstanceIds", "Values": [NODE]}], [{"Key": "InstanceIds", "Values": ["*"]}]):
        command = ssm.send_command(DocumentName=SHELL, Targets=target, Parameters={"commands": ["echo tagged"]})["Command"]["CommandId"]
        ended = until(
            "the end of " + command,
            lambda: (lambda got: got["Status"] == "Success" and got)(ssm.list_commands(CommandId=command)["Commands"][0]),
        )
        assert ended["TargetCount"] == 1, ended
        assert result(command)["StandardOutputContent"] == "tagged\n"
    nobody = ssm.send_command(DocumentName=SHELL, Targets=[{"Key": "tag:site", "Values": ["west"]}], Parameters={"commands": ["true"]})
    whole = until("an end without nodes", lambda: (lambda got: got["Status"] != "Pending" and got)(ssm.list_commands(CommandId=nobody["Command"]["CommandId"])["Commands"][0]))
    assert whole["StatusDetails"].replace(" ", "") == "NoInstancesInTag" and whole["TargetCount"] == 0, whole
    nodes = ssm.describe_instance_information(Filters=[{"Key": "tag:site", "Values": ["north"]}])["InstanceInformationList"]
    assert [node["InstanceId"] for node in nodes] == [NODE], nodes
    ssm.remove_tags_from_resource(TagKeys=["site", "row"], **resource)
    assert ssm.list_tags_for_resource(**resource)["TagList"] == []


def activations():
    made = ssm.create_activation(IamRole="none", Description="spare", RegistrationLimit=3, Tags=[{"Key": "a", "Value": "b"}])
    assert 20 <= len(made["ActivationCode"]) <= 250, made
    filters = [{"FilterKey": "ActivationIds", "FilterValues": [made["ActivationId"]]}]
    [activation] = ssm.describe_activations(Filters=filters)["ActivationList"]
    assert activation["RegistrationLimit"] == 3 and activation["RegistrationsCount"] == 0 and not activation["Expired"], activation
    assert "ActivationCode" not in activation
    ssm.delete_activation(ActivationId=made["ActivationId"])
    assert ssm.describe_activations(Filters=filters)["ActivationList"] == []


def filters_of_lists():
    command = send(["echo filtered"])
    result(command)
    done = ssm.list_commands(Filters=[{"key": "Status", "value": "Success"}])["Commands"]
    assert command in [entry["CommandId"] for entry in done]
    assert command not in [entry["CommandId"] for entry in ssm.list_commands(Filters=[{"key": "Status", "value": "Failed"}])["Commands"]]
    by_document = ssm.list_commands(Filters=[{"key": "DocumentName", "value": SHELL}])["Commands"]
    assert command in [entry["CommandId"] for entry in by_document]
    newest = ssm.list_commands(MaxResults=1)["Commands"][0]["CommandId"]
    assert newest == command, (newest, command)


for check in (
    the_five_commands_of_the_command_line,
    waiters,
    paginators,
    names_of_errors,
    documents,
    tags,
    activations,
    filters_of_lists,
):
    began = time.monotonic()
    check()
    print("%-40s %.1f s" % (check.__name__, time.monotonic() - began))
