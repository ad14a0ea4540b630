"""Makes a document with a parameter, runs it, makes a second version the default, goes back to the first, and removes it all.

    python documents.py
"""

import boto3

ssm = boto3.client("ssm")
NAME = "Example-Greeting"
# The parameter comes to the script as a variable of its environment: whatever people type never becomes part of the script.
FIRST = """
schemaVersion: "2.2"
description: Greets somebody.
parameters:
  name:
    type: String
    description: Who is greeted.
    default: world
    maxChars: 40
    interpolationType: ENV_VAR
mainSteps:
  - action: aws:runShellScript
    name: greet
    inputs:
      runCommand:
        - 'echo "Hello, $SSM_name"'
"""
SECOND = FIRST.replace("Hello,", "Good morning,")


def create():
    made = ssm.create_document(
        Name=NAME, Content=FIRST, DocumentType="Command", DocumentFormat="YAML", Tags=[{"Key": "example", "Value": "documents"}]
    )
    print("made", made["DocumentDescription"]["Name"], "version", made["DocumentDescription"]["DocumentVersion"])


def show():
    about = ssm.describe_document(Name=NAME)["Document"]
    print(about["Description"], "Parameters:", {parameter["Name"]: parameter["Type"] for parameter in about["Parameters"]})
    print("its hash:", about["Hash"], " its length:", len(ssm.get_document(Name=NAME)["Content"]))
    pages = ssm.get_paginator("list_documents").paginate(Filters=[{"Key": "Owner", "Values": ["Self"]}])
    print("own documents:", [document["Name"] for page in pages for document in page["DocumentIdentifiers"]])


def run(node_id, name):
    sent = ssm.send_command(DocumentName=NAME, InstanceIds=[node_id], Parameters={"name": [name]})
    about = {"CommandId": sent["Command"]["CommandId"], "InstanceId": node_id}
    ssm.get_waiter("command_executed").wait(**about, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    print(ssm.get_command_invocation(**about)["StandardOutputContent"], end="")


def add_version():
    """A new version is not yet the one that runs."""
    made = ssm.update_document(Name=NAME, Content=SECOND, DocumentFormat="YAML", DocumentVersion="$LATEST")
    return made["DocumentDescription"]["DocumentVersion"]


def use_version(version):
    ssm.update_document_default_version(Name=NAME, DocumentVersion=version)
    pages = ssm.get_paginator("list_document_versions").paginate(Name=NAME)
    versions = [entry for page in pages for entry in page["DocumentVersions"]]
    print("versions:", [entry["DocumentVersion"] + (" (default)" if entry["IsDefaultVersion"] else "") for entry in versions])


def main():
    node = ssm.describe_instance_information(Filters=[{"Key": "PingStatus", "Values": ["Online"]}], MaxResults=5)
    node_id = node["InstanceInformationList"][0]["InstanceId"]
    create()
    try:
        show()
        run(node_id, "you; rm -rf /")
        use_version(add_version())
        run(node_id, "you")
        use_version("1")
    finally:
        ssm.delete_document(Name=NAME)


if __name__ == "__main__":
    main()
