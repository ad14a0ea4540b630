"""Writes the vectors beside this file: requests that botocore signed, offline, at a fixed time.

Run it with boto3 installed; the vectors are committed, and the tests need neither Python nor boto3.
"""

import datetime
import json
import pathlib
from unittest import mock

import boto3
import botocore.auth
from botocore.awsrequest import AWSResponse

KEY = "FLVECTORVECTORVECTOR"
SECRET = "vector-secret-vector-secret-vector-secre"
TIME = datetime.datetime(2026, 11, 21, 22, 26, 40, tzinfo=datetime.timezone.utc)


class Stop(Exception):
    pass


def capture(name, endpoint, region, operation, **arguments):
    client = boto3.client(
        "ssm",
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
    )
    seen = {}

    def before_send(request, **_):
        seen["headers"] = {
            header.lower(): value.decode() if isinstance(value, bytes) else value
            for header, value in request.headers.items()
            if header.lower() not in ("amz-sdk-invocation-id", "user-agent")
        }
        host = request.url.split("//")[1].rstrip("/")
        seen["headers"].setdefault("host", host)
        seen["body"] = request.body.decode() if isinstance(request.body, bytes) else request.body
        raise Stop

    client.meta.events.register("before-send", before_send)
    with mock.patch.object(botocore.auth, "get_current_datetime", lambda remove_tzinfo=True: TIME.replace(tzinfo=None)):
        try:
            getattr(client, operation)(**arguments)
        except Stop:
            pass
    vector = {
        "access_key_id": KEY,
        "secret": SECRET,
        "time_ms": int(TIME.timestamp() * 1000),
        "headers": seen["headers"],
        "body": seen["body"],
    }
    path = pathlib.Path(__file__).parent / f"{name}.json"
    path.write_text(json.dumps(vector, indent=2, sort_keys=True) + "\n")


capture("no_arguments", "http://127.0.0.1:8474", "local-1", "describe_instance_information")
capture(
    "unicode_and_spaces",
    "http://localhost:8474",
    "us-east-1",
    "send_command",
    InstanceIds=["mi-66687aadf862bd776"],
    DocumentName="AWS-RunShellScript",
    Comment="two  spaces, ümläut, \u2028 and \"quotes\"",
    Parameters={"commands": ["echo 'hello' | tr a-z A-Z", "echo {{ x }}"]},
)
capture("default_port", "https://bridge.example", "eu-central-1", "list_documents", MaxResults=5)
capture("ipv6", "http://[::1]:8474", "local-1", "list_commands")
