"""Inventory through boto3 and the `aws` command, with types of the fleet's own. Called by inventory.rs with the ids of two nodes.

Types that nodes report themselves are left to them: what is put here is Custom:*.
"""

import json
import os
import subprocess
import sys

import boto3
from botocore.config import Config

FIRST, SECOND = sys.argv[1:3]
TIME = "2026-01-02T03:04:05Z"
ssm = boto3.client("ssm", config=Config(retries={"max_attempts": 0}))


def item(name, content, **more):
    return {"TypeName": name, "SchemaVersion": "1.0", "CaptureTime": TIME, "Content": content, **more}


def refused(error, call, **arguments):
    try:
        call(**arguments)
    except error as caught:
        assert caught.response["Error"]["Message"], caught.response
        return
    raise AssertionError("not refused with %s: %s" % (error, arguments))


# More entries than a page of 50 has.
sensors = [{"Name": "t%03d" % number, "Unit": "C", "Limit": str(number)} for number in range(120)]
ssm.put_inventory(InstanceId=FIRST, Items=[item("Custom:Rack", [{"Room": "B2", "Unit": "17"}]), item("Custom:Sensor", sensors)])
ssm.put_inventory(InstanceId=SECOND, Items=[item("Custom:Rack", [{"Room": "B2", "Unit": "4"}], ContentHash="mine")])
ssm.add_tags_to_resource(ResourceType="ManagedInstance", ResourceId=SECOND, Tags=[{"Key": "site", "Value": "north"}])

# Entries of one node, all pages.
read, token = [], None
while True:
    page = ssm.list_inventory_entries(InstanceId=FIRST, TypeName="Custom:Sensor", **({"NextToken": token} if token else {}))
    assert (page["InstanceId"], page["TypeName"], page["SchemaVersion"], page["CaptureTime"]) == (FIRST, "Custom:Sensor", "1.0", TIME)
    read += page["Entries"]
    token = page.get("NextToken")
    if not token:
        break
assert read == sensors, read[:3]
some = ssm.list_inventory_entries(InstanceId=FIRST, TypeName="Custom:Sensor", Filters=[{"Key": "Limit", "Values": ["9"], "Type": "LessThan"}])
assert [entry["Limit"] for entry in some["Entries"]] == [str(number) for number in range(9)]


def found(*filters, **arguments):
    pages = ssm.get_paginator("get_inventory").paginate(Filters=list(filters), PaginationConfig={"PageSize": 1}, **arguments)
    return [entity for page in pages for entity in page["Entities"]]


def ids(*filters):
    return {entity["Id"] for entity in found(*filters)}


def where(key, values, kind="Equal"):
    return {"Key": key, "Values": values, "Type": kind}


room = where("Custom:Rack.Room", ["B2"])
assert ids(room) == {FIRST, SECOND}
assert ids(where("Custom:Rack.Unit", ["10"], "GreaterThan")) == {FIRST}
assert ids(room, where("AWS:Tag.Key", ["site"]), where("AWS:Tag.Value", ["no"], "BeginWith")) == {SECOND}
assert ids(where("Custom:Sensor.Name", ["t000"], "NotEqual")) == {SECOND}, "nodes without it"
assert ids(where("AWS:InstanceInformation.InstanceStatus", ["Active"]), room) == {FIRST, SECOND}
racks = {entity["Id"]: entity["Data"]["Custom:Rack"] for entity in found(room, ResultAttributes=[{"TypeName": "Custom:Rack"}])}
assert racks[SECOND]["ContentHash"] == "mine" and racks[FIRST]["Content"] == [{"Room": "B2", "Unit": "17"}], racks

# Counts.
counted = ssm.get_inventory(Aggregators=[{"Expression": "Custom:Rack.Room", "Aggregators": [{"Expression": "Custom:Rack.Unit"}]}])
rows = counted["Entities"][0]["Data"]["Custom:Rack"]["Content"]
assert sorted((row["Room"], row["Unit"], row["Count"]) for row in rows) == [("B2", "17", "1"), ("B2", "4", "1")], rows
group = {"Name": "measures", "Filters": [where("Custom:Sensor.Name", ["true"], "Exists")]}
counted = ssm.get_inventory(Aggregators=[{"Groups": [group]}])["Entities"][0]["Data"]["measures"]["Content"]
assert counted == [{"matchingCount": "1"}, {"notMatchingCount": "1"}], counted

# Types.
schemas = {schema["TypeName"]: schema for page in ssm.get_paginator("get_inventory_schema").paginate() for schema in page["Schemas"]}
assert {"AWS:Application", "AWS:InstanceInformation", "Custom:Rack", "Custom:Sensor"} <= set(schemas), schemas.keys()
assert [attribute["Name"] for attribute in schemas["Custom:Rack"]["Attributes"]] == ["Room", "Unit"]

# The content is left where its hash is there, and refused where it is not.
unchanged = {"TypeName": "Custom:Rack", "SchemaVersion": "1.0", "CaptureTime": "2026-02-02T00:00:00Z"}
ssm.put_inventory(InstanceId=SECOND, Items=[{**unchanged, "ContentHash": "mine"}])
refused(ssm.exceptions.ItemContentMismatchException, ssm.put_inventory, InstanceId=SECOND, Items=[{**unchanged, "ContentHash": "other"}])
refused(ssm.exceptions.InvalidTypeNameException, ssm.put_inventory, InstanceId=FIRST, Items=[item("AWS:Tag", [{"Key": "a"}])])
large = [{"Text": "%d%s" % (number, "x" * 4000)} for number in range(60)]
refused(ssm.exceptions.ItemSizeLimitExceededException, ssm.put_inventory, InstanceId=FIRST, Items=[item("Custom:Large", large)])
refused(ssm.exceptions.InvalidFilter, ssm.get_inventory, Filters=[where("Custom:Rack.Room", ["true"], "Exists")])
refused(ssm.exceptions.InvalidNextToken, ssm.get_inventory, NextToken="foreign")

# Deleted, by the `aws` command too.
aws = [os.environ["AWS"], "ssm", "--region", os.environ.get("AWS_REGION", "us-east-1"), "--output", "json"]
dry = json.loads(subprocess.run([*aws, "delete-inventory", "--type-name", "Custom:Rack", "--dry-run"], check=True, capture_output=True).stdout)
assert dry["DeletionSummary"]["TotalCount"] == 2, dry
deleted = ssm.delete_inventory(TypeName="Custom:Rack", SchemaDeleteOption="DisableSchema")
(deletion,) = ssm.describe_inventory_deletions(DeletionId=deleted["DeletionId"])["InventoryDeletions"]
assert (deletion["LastStatus"], deletion["DeletionSummary"]["RemainingCount"]) == ("Complete", 0), deletion
assert ssm.list_inventory_entries(InstanceId=FIRST, TypeName="Custom:Rack")["Entries"] == []
rack = item("Custom:Rack", [{"Room": "C1"}])
refused(ssm.exceptions.UnsupportedInventorySchemaVersionException, ssm.put_inventory, InstanceId=FIRST, Items=[rack])
ssm.put_inventory(InstanceId=FIRST, Items=[{**rack, "SchemaVersion": "1.1"}])
shown = subprocess.run([*aws, "list-inventory-entries", "--instance-id", FIRST, "--type-name", "Custom:Rack"], check=True, capture_output=True)
assert json.loads(shown.stdout)["Entries"] == [{"Room": "C1"}], shown.stdout
refused(ssm.exceptions.InvalidDeletionIdException, ssm.describe_inventory_deletions, DeletionId="01234567-89ab-cdef-0123-456789abcdef")
ssm.deregister_managed_instance(InstanceId=SECOND)
assert ids(where("AWS:InstanceInformation.PlatformType", ["Linux"])) == {FIRST}
print("inventory: put, found, counted, listed in pages, refused and deleted")
