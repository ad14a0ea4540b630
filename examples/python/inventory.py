"""Writes down in which rack nodes stand, finds and counts nodes by it, and removes it again. What nodes report themselves is read alike.

    python inventory.py
"""

import datetime

import boto3

ssm = boto3.client("ssm")
TYPE = "Custom:ExampleRack"


def write(node, room, unit):
    """A type is written as a whole; all its values are texts."""
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    item = {"TypeName": TYPE, "SchemaVersion": "1.0", "CaptureTime": now, "Content": [{"Room": room, "Unit": unit}]}
    ssm.put_inventory(InstanceId=node, Items=[item])


def in_room(room):
    pages = ssm.get_paginator("get_inventory").paginate(
        Filters=[{"Key": TYPE + ".Room", "Values": [room]}], ResultAttributes=[{"TypeName": TYPE}]
    )
    return {entity["Id"]: entity["Data"][TYPE]["Content"] for page in pages for entity in page["Entities"]}


def rooms():
    """How many nodes there are for each value, without a list of the nodes."""
    pages = ssm.get_paginator("get_inventory").paginate(Aggregators=[{"Expression": TYPE + ".Room"}])
    return [entry for page in pages for entity in page["Entities"] for entry in entity["Data"][TYPE]["Content"]]


def types():
    pages = ssm.get_paginator("get_inventory_schema").paginate()
    return {schema["TypeName"]: [each["Name"] for each in schema["Attributes"]] for page in pages for schema in page["Schemas"]}


def main():
    pages = ssm.get_paginator("describe_instance_information").paginate(Filters=[{"Key": "PingStatus", "Values": ["Online"]}])
    nodes = [node["InstanceId"] for page in pages for node in page["InstanceInformationList"]][:2]
    for unit, node in enumerate(nodes):
        write(node, "B2", str(unit))
    try:
        for node, content in in_room("B2").items():
            print(node, "stands in", content)
        print("counted:", rooms())
        entries = ssm.list_inventory_entries(InstanceId=nodes[0], TypeName=TYPE)
        print("written at", entries["CaptureTime"], entries["Entries"])
        known = types()
        print("attributes of", TYPE, known[TYPE], "- types:", len(known))
    finally:
        ssm.delete_inventory(TypeName=TYPE, SchemaDeleteOption="DeleteSchema")
    pages = ssm.get_paginator("describe_inventory_deletions").paginate()
    print("deletions:", [deletion["TypeName"] for page in pages for deletion in page["InventoryDeletions"]][:1])


if __name__ == "__main__":
    main()
