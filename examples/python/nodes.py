"""Shows every node, marks one with a tag and a role, and puts both back.

    python nodes.py
"""

import boto3

ssm = boto3.client("ssm")


def nodes(**filters):
    """Every node, however many pages that takes; `nodes(PingStatus="Online")` only those that are connected."""
    wanted = [{"Key": key, "Values": [value]} for key, value in filters.items()]
    for page in ssm.get_paginator("describe_instance_information").paginate(Filters=wanted):
        yield from page["InstanceInformationList"]


def show(node):
    connection = ssm.get_connection_status(Target=node["InstanceId"])["Status"]
    print(f"{node['InstanceId']}  {node['ComputerName']}  {node['PlatformName']} {node['PlatformVersion']}  {connection}")


def architectures():
    """How many nodes there are of each kind of processor: only the properties know that."""
    counts = {}
    for page in ssm.get_paginator("describe_instance_properties").paginate():
        for node in page["InstanceProperties"]:
            counts[node["Architecture"]] = counts.get(node["Architecture"], 0) + 1
    return counts


def tag_and_untag(node_id):
    resource = {"ResourceType": "ManagedInstance", "ResourceId": node_id}
    ssm.add_tags_to_resource(**resource, Tags=[{"Key": "example", "Value": "nodes"}])
    print("its tags:", {tag["Key"]: tag["Value"] for tag in ssm.list_tags_for_resource(**resource)["TagList"]})
    print("found by its tag:", [node["InstanceId"] for node in nodes(**{"tag:example": "nodes"})])
    ssm.remove_tags_from_resource(**resource, TagKeys=["example"])


def change_role_and_back(node_id, role):
    """A role means nothing to Flotilla itself; it is kept for people and for filters."""
    ssm.update_managed_instance_role(InstanceId=node_id, IamRole="example-role")
    print("with the role:", [node["InstanceId"] for node in nodes(IamRole="example-role")])
    ssm.update_managed_instance_role(InstanceId=node_id, IamRole=role)


def main():
    for node in nodes():
        show(node)
    print("processors:", architectures())
    first = next(nodes(PingStatus="Online"))
    tag_and_untag(first["InstanceId"])
    change_role_and_back(first["InstanceId"], first["IamRole"])


if __name__ == "__main__":
    main()
