"""Runs the programs of examples/python as a user would, and says which built operations none of them has called with success. Then the
waiter and the paging of the real `aws`.

Called by examples.rs with the built operations of SSM and of Resource Groups, and the id of a node that may be retired in the end.
"""

import json
import os
import runpy
import subprocess
import sys
from collections import Counter
from pathlib import Path

import boto3
import botocore.session
from botocore.client import BaseClient

FOLDER = Path(__file__).resolve().parent.parent.parent / "examples" / "python"
BUILT = {"ssm": sys.argv[1].split(","), "resource-groups": sys.argv[2].split(",")}
SPARE = sys.argv[3]
WAITER = "command_executed"

succeeded, paged, waited = Counter(), set(), set()


def watch():
    """Sees every call of every client that is made from now on, and which paginators and waiters are asked for."""

    def after(parsed, model, **_):
        if parsed["ResponseMetadata"]["HTTPStatusCode"] < 300:
            succeeded[model.service_model.service_name, model.name] += 1

    boto3.setup_default_session()
    boto3.DEFAULT_SESSION.events.register("after-call", after)
    get_paginator, get_waiter = BaseClient.get_paginator, BaseClient.get_waiter

    def paginator(client, name):
        paged.add((client.meta.service_model.service_name, client.meta.method_to_api_mapping[name]))
        return get_paginator(client, name)

    def waiter(client, name):
        waited.add(name)
        return get_waiter(client, name)

    BaseClient.get_paginator, BaseClient.get_waiter = paginator, waiter


def run(program, *arguments):
    print("---", program.name, *arguments)
    sys.argv = [str(program), *arguments]
    runpy.run_path(str(program), run_name="__main__")


def paginated(service):
    """The built operations for which botocore has a paginator."""
    known = botocore.session.get_session().get_paginator_model(service)._paginator_config
    return {(service, name) for name in BUILT[service] if name in known}


def examples_call_everything():
    watch()
    programs = sorted(FOLDER.glob("*.py"))
    # Last, because it takes a node away.
    programs.sort(key=lambda program: program.name == "retire.py")
    for program in programs:
        run(program, *([SPARE] if program.name == "retire.py" else []))
    missing = [name for service, names in BUILT.items() for name in names if not succeeded[service, name]]
    assert not missing, "no program of examples/python calls with success: %s" % ", ".join(missing)
    missing = (paginated("ssm") | paginated("resource-groups")) - paged
    assert not missing, "no program of examples/python uses the paginator of: %s" % sorted(missing)
    assert waited == {WAITER}, waited
    readme = (FOLDER / "README.md").read_text()
    assert all("`%s`" % program.name in readme for program in programs), "examples/python/README.md names every program"
    print("%d operations, %d paginators, %d programs" % (len(succeeded), len(paged), len(programs)))


def aws(service, *arguments):
    return subprocess.run([os.environ["AWS"], service, *arguments, "--output", "json"], capture_output=True, text=True, timeout=120)


def answer(service, *arguments):
    done = aws(service, *arguments)
    assert done.returncode == 0, (arguments, done.returncode, done.stderr)
    return json.loads(done.stdout)


def the_waiter_of_aws(node):
    """`aws ssm wait` ends with 0 after a success and with 255 after a failure, as scripts rely on."""
    to_node = ["--document-name", "AWS-RunShellScript", "--instance-ids", node]
    ends = {"true": 0, "exit 9": 255}
    sent = {script: answer("ssm", "send-command", *to_node, "--parameters", "commands=" + script)["Command"] for script in ends}
    for script, status in ends.items():
        done = aws("ssm", "wait", "command-executed", "--command-id", sent[script]["CommandId"], "--instance-id", node)
        assert done.returncode == status, (script, done.returncode, done.stderr)
        assert status == 0 or "CommandExecuted failed" in done.stderr, done.stderr


# For each paginated operation: its service, arguments, the member that holds the list, and what tells its entries apart.
LISTS = {
    "DescribeActivations": ("ActivationList", "ActivationId", []),
    "DescribeInstanceInformation": ("InstanceInformationList", "InstanceId", []),
    "DescribeInstanceProperties": ("InstanceProperties", "InstanceId", []),
    "DescribeInventoryDeletions": ("InventoryDeletions", "DeletionId", []),
    "GetInventory": ("Entities", "Id", []),
    "GetInventorySchema": ("Schemas", "TypeName", []),
    "ListCommandInvocations": ("CommandInvocations", "CommandId", ["--instance-id", "NODE"]),
    "ListCommands": ("Commands", "CommandId", []),
    "ListDocumentVersions": ("DocumentVersions", "DocumentVersion", ["--name", "Paged-0"]),
    "ListDocuments": ("DocumentIdentifiers", "Name", []),
    # Of its two lists botocore resumes only this one: it leaves the other out of the first page after a starting token.
    "ListGroupResources": ("ResourceIdentifiers", "ResourceArn", ["--group", "paged-0"]),
    "ListGroups": ("GroupIdentifiers", "GroupName", []),
    "SearchResources": ("ResourceIdentifiers", "ResourceArn", ["--resource-query", "QUERY"]),
}
QUERY = json.dumps({"Type": "TAG_FILTERS_1_0", "Query": json.dumps({"ResourceTypeFilters": ["AWS::SSM::ManagedInstance"], "TagFilters": []})})


def something_to_page(node):
    """At least three entries in every list but those of nodes, which are there already."""
    ssm, groups = boto3.client("ssm"), boto3.client("resource-groups")
    for number in range(3):
        step = {"action": "aws:runShellScript", "name": "say", "inputs": {"runCommand": ["echo %d" % number]}}
        content = json.dumps({"schemaVersion": "2.2", "mainSteps": [step]})
        ssm.create_document(Name="Paged-%d" % number, Content=content, DocumentType="Command")
        if number:
            ssm.update_document(Name="Paged-0", Content=content, DocumentVersion="$LATEST")
        ssm.create_activation(IamRole="none")
        ssm.send_command(DocumentName="Paged-%d" % number, InstanceIds=[node])
        item = {"TypeName": "Custom:Paged", "SchemaVersion": "1.0", "CaptureTime": "2026-11-21T22:26:40Z", "Content": [{"Number": str(number)}]}
        ssm.put_inventory(InstanceId=node, Items=[item])
        ssm.delete_inventory(TypeName="Custom:Paged", SchemaDeleteOption="DeleteSchema")
        groups.create_group(Name="paged-%d" % number, ResourceQuery=json.loads(QUERY))


def command_name(operation):
    return "".join("-" + letter.lower() if letter.isupper() else letter for letter in operation).lstrip("-")


def paging_of_aws(node):
    """`--starting-token` goes on where `--max-items` has stopped, within a page and between two, and together it is the whole list."""
    both = paginated("ssm") | paginated("resource-groups")
    assert {name for _, name in both} == set(LISTS), {name for _, name in both} ^ set(LISTS)
    for service, name in sorted(both):
        member, key, arguments = LISTS[name]
        arguments = [node if argument == "NODE" else QUERY if argument == "QUERY" else argument for argument in arguments]
        call = [service, command_name(name), *arguments]
        whole = [entry[key] for entry in answer(*call)[member]]
        assert len(set(whole)) == len(whole), (name, whole)
        # AWS lets nobody ask for fewer than five nodes at a time, or fifty types.
        size = "5" if name.startswith("DescribeInstance") else "50" if name == "GetInventorySchema" else "2"
        most = len(whole) // 2 + 1
        pages, token = [], []
        while len(pages) <= 2:
            page = answer(*call, "--max-items", str(most), "--page-size", size, *token)
            pages.append([entry[key] for entry in page[member]])
            if "NextToken" not in page:
                break
            token = ["--starting-token", page["NextToken"]]
        assert [entry for page in pages for entry in page] == whole, (name, pages, whole)
        assert [len(page) for page in pages] == [most, len(whole) - most], (name, pages)
        print("aws %s %s: %d entries, %d pages" % (service, call[1], len(whole), len(pages)))


nodes = boto3.client("ssm").describe_instance_information()["InstanceInformationList"]
node = next(entry["InstanceId"] for entry in nodes if entry["InstanceId"] != SPARE)
something_to_page(node)
the_waiter_of_aws(node)
paging_of_aws(node)
examples_call_everything()
