"""Every built operation under each role, and requests whose signature must not count. Called by access.rs.

Arguments: the operator.env files of a viewer, an operator and an admin, and the built operations. Which role an operation needs is
written down here once more, by what it does, so that a slip in the bridge's own list is seen.
"""

import sys
import urllib.error
import urllib.request
from datetime import datetime, timedelta, timezone
from unittest import mock

import boto3
import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

FILES, OPERATIONS = sys.argv[1:4], sys.argv[4].split(",")
ROLES = ("viewer", "operator", "admin")
ADMIN = {"CreateActivation", "DeleteActivation", "DeregisterManagedInstance", "UpdateManagedInstanceRole"}
CHANGES = {
    "AddTagsToResource",
    "CancelCommand",
    "CreateDocument",
    "DeleteDocument",
    "DeleteInventory",
    "PutInventory",
    "RemoveTagsFromResource",
    "SendCommand",
    "UpdateDocument",
    "UpdateDocumentDefaultVersion",
}
NODE = "mi-00000000000000000"
INPUT = {
    "AddTagsToResource": {"ResourceType": "ManagedInstance", "ResourceId": NODE, "Tags": [{"Key": "a", "Value": "b"}]},
    "CancelCommand": {"CommandId": "00000000-0000-7000-8000-000000000000"},
    "CreateActivation": {"IamRole": ""},
    "CreateDocument": {"Name": "Nothing", "Content": "nothing"},
    "DeleteActivation": {"ActivationId": "00000000-0000-7000-8000-000000000000"},
    "DeleteDocument": {"Name": "No-Such-Document"},
    "DeleteInventory": {"TypeName": "Custom:Nothing"},
    "DeregisterManagedInstance": {"InstanceId": NODE},
    "DescribeActivations": {},
    "DescribeDocument": {"Name": "AWS-RunShellScript"},
    "DescribeInstanceInformation": {},
    "DescribeInstanceProperties": {},
    "DescribeInventoryDeletions": {},
    "GetCommandInvocation": {"CommandId": "00000000-0000-7000-8000-000000000000", "InstanceId": NODE},
    "GetConnectionStatus": {"Target": NODE},
    "GetDocument": {"Name": "AWS-RunShellScript"},
    "GetInventory": {},
    "GetInventorySchema": {},
    "ListCommandInvocations": {},
    "ListCommands": {},
    "ListDocumentVersions": {"Name": "AWS-RunShellScript"},
    "ListDocuments": {},
    "ListInventoryEntries": {"InstanceId": NODE, "TypeName": "AWS:Tag"},
    "ListTagsForResource": {"ResourceType": "ManagedInstance", "ResourceId": NODE},
    "PutInventory": {"InstanceId": NODE, "Items": [{"TypeName": "Custom:Rack", "SchemaVersion": "1.0", "CaptureTime": "2026-01-01T00:00:00Z"}]},
    "RemoveTagsFromResource": {"ResourceType": "ManagedInstance", "ResourceId": NODE, "TagKeys": ["a"]},
    "SendCommand": {"DocumentName": "AWS-RunShellScript", "InstanceIds": [NODE], "Parameters": {"commands": ["true"]}},
    "UpdateDocument": {"Name": "No-Such-Document", "Content": "nothing"},
    "UpdateDocumentDefaultVersion": {"Name": "No-Such-Document", "DocumentVersion": "1"},
    "UpdateManagedInstanceRole": {"InstanceId": NODE, "IamRole": "role"},
}


def variables(file):
    return dict(line.strip().split("=", 1) for line in open(file) if "=" in line)


def needed(operation):
    return "admin" if operation in ADMIN else "operator" if operation in CHANGES else "viewer"


def roles():
    assert set(INPUT) == set(OPERATIONS), set(INPUT) ^ set(OPERATIONS)
    for role, file in zip(ROLES, FILES):
        key = variables(file)
        client = boto3.client(
            "ssm",
            endpoint_url=key["AWS_ENDPOINT_URL_SSM"],
            aws_access_key_id=key["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=key["AWS_SECRET_ACCESS_KEY"],
            config=Config(retries={"max_attempts": 0}),
        )
        for operation in OPERATIONS:
            try:
                client._make_api_call(operation, INPUT[operation])
                code = None
            except ClientError as error:
                code = error.response["Error"]["Code"]
                assert error.response["ResponseMetadata"]["HTTPStatusCode"] < 500, (operation, error.response)
            allowed = ROLES.index(role) >= ROLES.index(needed(operation))
            assert (code != "AccessDeniedException") == allowed, (role, operation, code)


def post(url, headers, body):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=body, headers=headers, method="POST"), timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


class Clock(datetime):
    """The clock of the signer, moved."""

    skew = timedelta()

    @classmethod
    def utcnow(cls):
        return datetime.now(timezone.utc).replace(tzinfo=None) + cls.skew

    @classmethod
    def now(cls, tz=None):
        return datetime.now(tz) + cls.skew


def signed(key, target, body, skew=timedelta(), region="local-1", service="ssm"):
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "AmazonSSM." + target}
    request = AWSRequest("POST", key["AWS_ENDPOINT_URL_SSM"] + "/", headers=headers, data=body)
    credentials = Credentials(key["AWS_ACCESS_KEY_ID"], key["AWS_SECRET_ACCESS_KEY"])
    Clock.skew = skew
    moved = datetime.now(timezone.utc) + skew
    patches = [mock.patch.object(botocore.auth.datetime, "datetime", Clock)] if hasattr(botocore.auth.datetime, "datetime") else []
    if hasattr(botocore.auth, "get_current_datetime"):
        patches = [mock.patch.object(botocore.auth, "get_current_datetime", lambda *_, **__: moved.replace(tzinfo=None))]
    for patch in patches:
        patch.start()
    try:
        botocore.auth.SigV4Auth(credentials, service, region).add_auth(request)
    finally:
        for patch in patches:
            patch.stop()
    return dict(request.headers.items())


def signatures():
    admin = variables(FILES[2])
    url, body = admin["AWS_ENDPOINT_URL_SSM"] + "/", b'{"IamRole":"none"}'
    good = signed(admin, "CreateActivation", body)
    status, answer = post(url, good, body)
    assert status == 200, (status, answer)
    status, answer = post(url, good, body)
    assert status == 400 and b"used already" in answer, (status, answer)

    def refused(what, headers, content=body):
        status, answer = post(url, headers, content)
        assert 400 <= status < 500, (what, status, answer)
        assert b"Activation" not in answer, (what, answer)

    refused("another body", signed(admin, "CreateActivation", body), b'{"IamRole":"other"}')
    refused("another operation", {**signed(admin, "ListCommands", body), "X-Amz-Target": "AmazonSSM.CreateActivation"})
    for minutes in (-20, 20):
        refused("a clock %d minutes off" % minutes, signed(admin, "CreateActivation", body, timedelta(minutes=minutes)))
    for service in ("s3", "iam"):
        refused("signed for " + service, signed(admin, "CreateActivation", body, service=service))
    unsigned = signed(admin, "CreateActivation", body)
    for missing in ("Authorization", "X-Amz-Date"):
        refused("without " + missing, {name: value for name, value in unsigned.items() if name != missing})
    refused("nothing at all", {})
    flipped = signed(admin, "CreateActivation", body)
    last = flipped["Authorization"][-1]
    flipped["Authorization"] = flipped["Authorization"][:-1] + ("0" if last != "0" else "1")
    refused("one digit of the signature", flipped)
    early = signed(admin, "CreateActivation", body, timedelta(minutes=14))
    status, answer = post(url, early, body)
    assert status == 200, ("a clock 14 minutes off is within the skew", status, answer)
    # What was signed before this bridge started may have been used with the one before it.
    late = signed(admin, "CreateActivation", body, timedelta(minutes=-14))
    status, answer = post(url, late, body)
    assert status == 400 and b"before the bridge started" in answer, (status, answer)


for check in (roles, signatures):
    check()
    print(check.__name__, "hold")
