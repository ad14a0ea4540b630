"""Gives nodes a tag, makes a group of all nodes that have it, and runs a command on the group.

    python groups.py
"""

import json

import boto3

ssm = boto3.client("ssm")
# AWS_ENDPOINT_URL_RESOURCE_GROUPS says where the bridge is; it stands in operator.env.
groups = boto3.client("resource-groups")
NAME = "example-north"
TAG = {"Key": "example-site", "Value": "north"}


def query(key, value):
    """All nodes that have this tag, now and later: a group holds no list."""
    text = {"ResourceTypeFilters": ["AWS::SSM::ManagedInstance"], "TagFilters": [{"Key": key, "Values": [value]}]}
    return {"Type": "TAG_FILTERS_1_0", "Query": json.dumps(text)}


def node_id(resource):
    return resource["ResourceArn"].rsplit("/", 1)[1]


def found(key, value):
    """What a group would hold, before there is one."""
    pages = groups.get_paginator("search_resources").paginate(ResourceQuery=query(key, value))
    return [node_id(resource) for page in pages for resource in page["ResourceIdentifiers"]]


def members():
    pages = groups.get_paginator("list_group_resources").paginate(Group=NAME)
    return [node_id(resource["Identifier"]) for page in pages for resource in page["Resources"]]


def show():
    group = groups.get_group(Group=NAME)["Group"]
    tags = groups.get_group_query(Group=NAME)["GroupQuery"]["ResourceQuery"]["Query"]
    print(group["Name"], "-", group["Description"], "-", json.loads(tags)["TagFilters"])
    pages = groups.get_paginator("list_groups").paginate()
    print("groups:", [entry["GroupName"] for page in pages for entry in page["GroupIdentifiers"]])
    print("nodes of the group:", members())


def run(script):
    """A group is a target by its name; the nodes that it has at this moment run the command."""
    target = {"Key": "resource-groups:Name", "Values": [NAME]}
    sent = ssm.send_command(DocumentName="AWS-RunShellScript", Targets=[target], Parameters={"commands": [script]})
    command_id = sent["Command"]["CommandId"]
    for member in members():
        pace = {"Delay": 1, "MaxAttempts": 60}
        ssm.get_waiter("command_executed").wait(CommandId=command_id, InstanceId=member, WaiterConfig=pace)
    pages = ssm.get_paginator("list_command_invocations").paginate(CommandId=command_id, Details=True)
    for invocation in (invocation for page in pages for invocation in page["CommandInvocations"]):
        print(invocation["InstanceId"], invocation["Status"], invocation["CommandPlugins"][0]["Output"].strip())


def main():
    pages = ssm.get_paginator("describe_instance_information").paginate(Filters=[{"Key": "PingStatus", "Values": ["Online"]}])
    nodes = [node["InstanceId"] for page in pages for node in page["InstanceInformationList"]][:2]
    for node in nodes:
        ssm.add_tags_to_resource(ResourceType="ManagedInstance", ResourceId=node, Tags=[TAG])
    try:
        print("nodes with the tag:", found(TAG["Key"], TAG["Value"]))
        groups.create_group(Name=NAME, Description="everything in the north", ResourceQuery=query(TAG["Key"], TAG["Value"]))
        try:
            show()
            run("hostname")
        finally:
            groups.delete_group(Group=NAME)
    finally:
        for node in nodes:
            ssm.remove_tags_from_resource(ResourceType="ManagedInstance", ResourceId=node, TagKeys=[TAG["Key"]])


if __name__ == "__main__":
    main()
