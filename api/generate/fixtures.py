"""Writes tests/fixtures: requests exactly as botocore's own serialiser writes them, offline.

Run by hand, from the folder `api`, with botocore installed (`pip install botocore`):

    python3 generate/fixtures.py

To add one: a line in REQUESTS with every member of the shape, and a test in tests/botocore_requests.rs.
"""

import datetime
import pathlib

import botocore.session
from botocore.serialize import create_serializer

NODE = "mi-0123456789abcdef0"
NOON = datetime.datetime(2026, 1, 1, 12, 0, 0, tzinfo=datetime.timezone.utc)

REQUESTS = {
    "SendCommand": {
        "InstanceIds": [NODE],
        "Targets": [{"Key": "tag:site", "Values": ["north", "süd"]}],
        "DocumentName": "AWS-RunShellScript",
        "DocumentVersion": "$DEFAULT",
        "DocumentHash": "ab" * 32,
        "DocumentHashType": "Sha256",
        "TimeoutSeconds": 600,
        "Comment": "ein Gruß",
        "Parameters": {"commands": ['echo "hello"', "uname -a"], "executionTimeout": ["60"]},
        "OutputS3Region": "us-east-1",
        "OutputS3BucketName": "bucket",
        "OutputS3KeyPrefix": "prefix",
        "MaxConcurrency": "10%",
        "MaxErrors": "0",
        "ServiceRoleArn": "role",
        "NotificationConfig": {"NotificationArn": "arn", "NotificationEvents": ["All"], "NotificationType": "Invocation"},
        "CloudWatchOutputConfig": {"CloudWatchLogGroupName": "g", "CloudWatchOutputEnabled": False},
        "AlarmConfiguration": {"IgnorePollAlarmFailure": True, "Alarms": [{"Name": "a"}]},
    },
    "CreateActivation": {
        "Description": "d",
        "DefaultInstanceName": "n",
        "IamRole": "none",
        "RegistrationLimit": 5,
        "ExpirationDate": NOON,
        "Tags": [{"Key": "site", "Value": ""}],
        "RegistrationMetadata": [{"Key": "k", "Value": "v"}],
    },
    "DescribeInstanceInformation": {
        "InstanceInformationFilterList": [{"key": "PingStatus", "valueSet": ["Online"]}],
        "Filters": [{"Key": "tag:site", "Values": ["north"]}],
        "MaxResults": 50,
        "NextToken": "t",
    },
    "ListDocuments": {
        "DocumentFilterList": [{"key": "Name", "value": "AWS-"}],
        "Filters": [{"Key": "Owner", "Values": ["Self"]}],
        "MaxResults": 5,
        "NextToken": "t",
    },
    "ListCommandInvocations": {
        "CommandId": "0" * 36,
        "InstanceId": NODE,
        "MaxResults": 1,
        "NextToken": "t",
        "Filters": [{"key": "Status", "value": "Success"}],
        "Details": True,
    },
    "CreateDocument": {
        "Content": '{"schemaVersion":"2.2"}',
        "Requires": [{"Name": "Other", "Version": "1", "RequireType": "x", "VersionName": "v"}],
        "Attachments": [{"Key": "SourceUrl", "Values": ["https://a.example/"], "Name": "file"}],
        "Name": "My-Document",
        "DisplayName": "My document",
        "VersionName": "v1",
        "DocumentType": "Command",
        "DocumentFormat": "JSON",
        "TargetType": "/",
        "Tags": [{"Key": "a", "Value": "b"}],
    },
}


def main():
    session = botocore.session.Session()
    client = session.create_client("ssm", region_name="us-east-1", aws_access_key_id="id", aws_secret_access_key="key")
    serializer = create_serializer("json", include_validation=True)
    folder = pathlib.Path(__file__).parent.parent / "tests" / "fixtures"
    folder.mkdir(parents=True, exist_ok=True)
    for name, members in REQUESTS.items():
        operation = client.meta.service_model.operation_model(name)
        body = serializer.serialize_to_request(members, operation)["body"]
        (folder / f"{name}.json").write_bytes(body + b"\n")


if __name__ == "__main__":
    main()
