"""Resource groups as boto3 and the aws command use them, a group as the target of a command, and the rest of the operations on nodes.

Called by sweep.rs with the ids of two nodes that are online.
"""

import json
import os
import subprocess
import sys

import boto3
from botocore.exceptions import ClientError

first, second = sys.argv[1:3]
ssm = boto3.client("ssm")
endpoint = os.environ["AWS_ENDPOINT_URL_SSM"]
groups = boto3.client("resource-groups", endpoint_url=endpoint)


def refused(code, function, **arguments):
    try:
        function(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error.response
        return error.response["Error"]["Message"]
    raise AssertionError("%s was taken" % arguments)


def query(**tags):
    filters = [{"Key": key, "Values": [value]} for key, value in tags.items()]
    text = json.dumps({"ResourceTypeFilters": ["AWS::SSM::ManagedInstance"], "TagFilters": filters})
    return {"Type": "TAG_FILTERS_1_0", "Query": text}


for node, site in ((first, "north"), (second, "south")):
    ssm.add_tags_to_resource(ResourceType="ManagedInstance", ResourceId=node, Tags=[{"Key": "site", "Value": site}])
made = groups.create_group(Name="north", Description="the north", ResourceQuery=query(site="north"))
assert made["Group"]["Name"] == "north", made
for number in range(5):
    groups.create_group(Name="more-%d" % number, ResourceQuery=query(site="south"))
pages = groups.get_paginator("list_groups").paginate(PaginationConfig={"PageSize": 2})
names = [group["GroupName"] for page in pages for group in page["GroupIdentifiers"]]
assert names == ["more-%d" % number for number in range(5)] + ["north"], names
assert groups.get_group(Group=made["Group"]["GroupArn"])["Group"]["Description"] == "the north"
assert groups.get_group_query(Group="north")["GroupQuery"]["ResourceQuery"] == query(site="north")
pages = groups.get_paginator("list_group_resources").paginate(Group="north", PaginationConfig={"PageSize": 1})
arns = [found["Identifier"]["ResourceArn"] for page in pages for found in page["Resources"]]
assert [arn.rsplit("/", 1)[1] for arn in arns] == [first], arns
pages = groups.get_paginator("search_resources").paginate(ResourceQuery=query(), PaginationConfig={"PageSize": 1})
assert len([found for page in pages for found in page["ResourceIdentifiers"]]) == 2
refused("NotFoundException", groups.get_group, Group="nobody")
refused("BadRequestException", groups.create_group, Name="north", ResourceQuery=query())
refused("BadRequestException", groups.search_resources, ResourceQuery={"Type": "TAG_FILTERS_1_0", "Query": "nothing"})

aws = [os.environ["AWS"], "resource-groups", "--endpoint-url", endpoint, "--output", "json"]
listed = json.loads(subprocess.run(aws + ["list-group-resources", "--group", "north"], check=True, capture_output=True).stdout)
assert listed["ResourceIdentifiers"][0]["ResourceArn"].endswith(first), listed

target = {"Key": "resource-groups:Name", "Values": ["north"]}
sent = ssm.send_command(DocumentName="AWS-RunShellScript", Targets=[target], Parameters={"commands": ["echo here"]})
command = sent["Command"]["CommandId"]
ssm.get_waiter("command_executed").wait(CommandId=command, InstanceId=first, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
invocations = ssm.list_command_invocations(CommandId=command)["CommandInvocations"]
assert [(entry["InstanceId"], entry["Status"]) for entry in invocations] == [(first, "Success")], invocations
unknown = {"Key": "resource-groups:Name", "Values": ["nobody"]}
refused("InvalidParameters", ssm.send_command, DocumentName="AWS-RunShellScript", Targets=[unknown], Parameters={"commands": ["true"]})
assert groups.delete_group(Group="north")["Group"]["Name"] == "north"
refused("NotFoundException", groups.list_group_resources, Group="north")

ssm.update_managed_instance_role(InstanceId=first, IamRole="another")
properties = [
    entry
    for page in ssm.get_paginator("describe_instance_properties").paginate(
        FiltersWithOperator=[{"Key": "IamRole", "Values": ["anoth"], "Operator": "BeginWith"}]
    )
    for entry in page["InstanceProperties"]
]
assert [entry["InstanceId"] for entry in properties] == [first], properties
assert properties[0]["Architecture"] and properties[0]["PingStatus"] == "Online", properties
assert ssm.get_connection_status(Target=first)["Status"] == "connected"
message = refused("ValidationException", ssm.list_commands, MaxResults=51)
assert message == (
    "1 validation error detected: Value '51' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 50"
), message
print("groups, a group as a target, and nodes hold")
