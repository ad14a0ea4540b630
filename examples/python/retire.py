"""Takes a node out of the fleet for ever: its key is refused from then on, and its open commands end as undeliverable.

    python retire.py mi-0123456789abcdef0
"""

import sys

import boto3

ssm = boto3.client("ssm")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    [node_id] = sys.argv[1:]
    [node] = ssm.describe_instance_information(Filters=[{"Key": "InstanceIds", "Values": [node_id]}])["InstanceInformationList"]
    ssm.deregister_managed_instance(InstanceId=node_id)
    print(f"{node_id} ({node['ComputerName']}) is no node any more")


if __name__ == "__main__":
    main()
