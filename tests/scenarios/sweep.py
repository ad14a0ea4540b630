"""Calls every operation of the installed botocore's SSM model, and the built ones of resource-groups, and judges every answer by the model.

Requests are generated from the model's input shapes: the smallest that can be right, and for every limit of every member (a length, a
pattern, a word of an enumeration, a range, a member that must be there) one that breaks it. They go out as botocore signs and writes
them, past its own checks of the input, and the answers are read here: a success may hold only members of the output shape, of their
types; an error must be one that the model lists for the operation, or one of the few general ones; nothing has a status of 500 or more.
Besides, every built operation is called with requests that are well formed and mean nothing: an id, a name, a key or a version of nobody, and
a page token that another operation has made. And once with a request that it must take, so that its output is judged too.
Called by sweep.rs; the built operations of SSM and the id of a node that is online are the arguments.
"""

import json
import re
import socket
import sys
import time
from urllib.parse import quote

import boto3
import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session

BUILT, NODE = set(sys.argv[1].split(",")), sys.argv[2]
GROUPS = ("CreateGroup", "DeleteGroup", "GetGroup", "GetGroupQuery", "ListGroupResources", "ListGroups", "SearchResources")
# What any operation may answer besides its own errors.
GENERAL = {"ValidationException", "AccessDeniedException", "ThrottlingException"}
MAXIMUM_DEPTH = 5
# The members that docs/api.md documents as additions, by shape: exactly these, and of these types.
ADDED = {
    "GetCommandInvocationResult": {"StandardOutputBytes": int, "StandardErrorBytes": int},
    "CommandPlugin": {"StandardOutputBytes": int, "StandardErrorBytes": int},
    "GetConnectionStatusResponse": {"Health": dict},
}

session = botocore.session.get_session()
credentials = session.get_credentials()
endpoint = boto3.client("ssm").meta.endpoint_url
http = URLLib3Session(socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)])

UUID = "01234567-89ab-cdef-0123-456789abcdef"
SAMPLES = ["a", "abc", "1", "mi-00000000000000000", UUID, "$LATEST", "1.0", "arn:aws:iam::000000000000:role/role", "oi-0123456789ab"]
SAMPLES += ["arn:aws:ssm:local-1:000000000000:opsmetadata/aws/ssm/a", "https://a.example/b", "aws:name", "Custom:ab", "AWS:ab", "/a"]
SAMPLES += ["AWS::SSM::ManagedInstance", "mw-00000000000000000", "pb-00000000000000000", "0" * 64, "000000000000", "rate(1 day)"]


def java(pattern):
    """The pattern as Python reads it: scripts and separators written out roughly."""
    for name, letters in (("\\p{L}", "a-zA-Z"), ("\\p{Z}", " "), ("\\p{N}", "0-9"), ("\\p{P}", "!-/"), ("\\p{M}", ""), ("\\w-", "\\w\\-")):
        pattern = pattern.replace(name, letters)
    return pattern


def fits(shape, text):
    if not shape.metadata.get("min", 0) <= len(text) <= shape.metadata.get("max", 10**6):
        return False
    pattern = shape.metadata.get("pattern")
    return pattern is None or re.fullmatch(java(pattern), text, re.ASCII) is not None


def smallest(shape, depth=0):
    """The smallest value of a shape that can be right: required members only, at their lower limits."""
    kind, least = shape.type_name, shape.metadata.get("min", 0)
    if kind == "structure":
        return {name: smallest(shape.members[name], depth + 1) for name in shape.required_members} if depth < 12 else {}
    if kind == "list":
        return [smallest(shape.member, depth + 1)] * max(least, 1)
    if kind == "map":
        return {smallest(shape.key): smallest(shape.value, depth + 1) for _ in range(min(least, 1))}
    if kind == "string":
        if shape.enum:
            return shape.enum[0]
        return next((text for text in SAMPLES + ["a" * least] if fits(shape, text)), "a" * least)
    if kind in ("integer", "long"):
        return least
    return {"timestamp": 2000000000, "blob": "YQ==", "boolean": False, "float": 0.0, "double": 0.0}[kind]


def broken(shape, depth=0):
    """Pairs of what is wrong and a value that is, for every limit in a shape."""
    kind, least, most = shape.type_name, shape.metadata.get("min"), shape.metadata.get("max")
    if depth > MAXIMUM_DEPTH:
        return
    wrong_type = {"structure": "text", "list": "text", "map": "text", "string": [1], "integer": "one", "long": "one", "boolean": "maybe"}
    if kind in wrong_type and depth:
        yield "another type", wrong_type[kind]
    if kind == "structure":
        whole = smallest(shape)
        for name, member in shape.members.items():
            if name in shape.required_members:
                yield "without " + name, {known: value for known, value in whole.items() if known != name}
            for what, value in broken(member, depth + 1):
                yield "%s: %s" % (name, what), {**whole, name: value}
        yield "a member of nobody", {**whole, "NoSuchMember": 1}
    elif kind == "list":
        one = smallest(shape.member)
        if least:
            yield "too few entries", [one] * (least - 1)
        if most is not None and most < 1000:
            yield "too many entries", [one] * (most + 1)
        for what, value in broken(shape.member, depth + 1):
            yield "entry: " + what, [value] * max(least or 0, 1)
    elif kind == "map":
        for what, value in broken(shape.value, depth + 1):
            yield "value: " + what, {smallest(shape.key): value}
    elif kind == "string":
        if shape.enum:
            yield "no word of the list", "NoSuchWord"
        if least:
            yield "too short", "a" * (least - 1)
        if most is not None and most <= 100000:
            yield "too long", "a" * (most + 1)
        if "pattern" in shape.metadata and not fits(shape, "\x07;\n"):
            yield "not of the pattern", "\x07;\n"
    elif kind in ("integer", "long"):
        if least is not None:
            yield "too small", least - 1
        if most is not None:
            yield "too large", most + 1
        yield "beyond every number", 10**30


def call(model, operation, body):
    """Posts a request as the service's protocol wants it, and returns status, headers and body of the answer."""
    headers, address = {"Content-Type": "application/json"}, endpoint
    if model.service_name == "ssm":
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "AmazonSSM." + operation.name}
    else:
        body = dict(body)
        address += operation.http["requestUri"]
        in_address = []
        for name, member in operation.input_shape.members.items():
            if member.serialization.get("location") == "querystring" and name in body:
                in_address.append((member.serialization["name"], str(body.pop(name))))
        if in_address:
            address += "?" + "&".join("%s=%s" % (name, quote(value, safe="-_.~")) for name, value in sorted(in_address))
    # Equal calls within a second have one signature; an own header tells them apart, as SDKs do.
    call.count += 1
    headers["amz-sdk-invocation-id"] = "%032x" % call.count
    request = AWSRequest("POST", address, headers=headers, data=json.dumps(body).encode())
    SigV4Auth(credentials, model.signing_name, "local-1").add_auth(request)
    answer = http.send(request.prepare())
    return answer.status_code, answer.headers, answer.content


call.count = 0


def strange(shape, value, path=""):
    """What of an output is not as the shape says."""
    kind = shape.type_name
    if value is None:
        return
    types = {"structure": dict, "map": dict, "list": list, "string": str, "boolean": bool, "timestamp": (int, float), "blob": str}
    wanted = types.get(kind, (int, float))
    if not isinstance(value, wanted) or (isinstance(value, bool) and kind != "boolean"):
        yield "%s is %s, the model has %s" % (path, type(value).__name__, kind)
    elif kind == "structure":
        names = {member.serialization.get("name", name): member for name, member in shape.members.items()}
        for name, inner in value.items():
            if name in ADDED.get(shape.name, ()):
                if type(inner) is not ADDED[shape.name][name]:
                    yield "%s.%s is %s, documented as %s" % (path, name, type(inner).__name__, ADDED[shape.name][name].__name__)
            elif name not in names:
                yield "%s.%s is no member of %s" % (path, name, shape.name)
            else:
                yield from strange(names[name], inner, "%s.%s" % (path, name))
        for name in shape.required_members:
            if value.get(name) is None:
                yield "%s lacks %s, which %s must have" % (path, name, shape.name)
    elif kind == "list":
        for index, inner in enumerate(value):
            yield from strange(shape.member, inner, "%s[%d]" % (path, index))
    elif kind == "map":
        for name, inner in value.items():
            yield from strange(shape.value, inner, "%s{%s}" % (path, name))
    elif kind == "string" and shape.enum and value not in shape.enum:
        yield "%s is %r, which is no word of %s" % (path, value, shape.name)


def judge(model, operation, body, must_fail):
    """What is wrong with the answer to a request."""
    status, headers, content = call(model, operation, body)
    try:
        answer = json.loads(content or b"{}")
    except ValueError:
        return ["status %d and no JSON: %r" % (status, content[:200])]
    if status >= 500:
        return ["status %d: %s" % (status, answer)]
    if status == 200:
        judge.outputs += 1
        if must_fail:
            return ["was taken"]
        if operation.output_shape is None:
            return [] if answer == {} else ["an output where the model has none: %s" % answer]
        return list(strange(operation.output_shape, answer))
    judge.errors += 1
    code = headers.get("x-amzn-errortype") or answer.get("__type", "")
    modelled = {shape.name for shape in operation.error_shapes}
    modelled |= {shape.metadata.get("error", {}).get("code", shape.name) for shape in operation.error_shapes}
    general = GENERAL if model.service_name == "ssm" else set()
    if code not in modelled | general:
        return ["%s (status %d), the model lists %s" % (code, status, sorted(modelled))]
    if not (answer.get("message") or answer.get("Message")):
        return ["%s says nothing" % code]
    return []


judge.outputs = judge.errors = 0

CONTENT = {"schemaVersion": "2.2", "mainSteps": [{"action": "aws:runShellScript", "name": "say", "inputs": {"runCommand": ["echo hi"]}}]}
QUERY = {"Type": "TAG_FILTERS_1_0", "Query": '{"ResourceTypeFilters":["AWS::SSM::ManagedInstance"],"TagFilters":[{"Key":"sweep"}]}'}


NOBODY = {"InstanceId": "mi-00000000000000000"}
NO_RESOURCE = [{"ResourceType": "ManagedInstance", "ResourceId": NOBODY["InstanceId"]}, {"ResourceType": "Document", "ResourceId": "nobody"}]
NO_RESOURCE += [{"ResourceType": "Parameter", "ResourceId": "nobody"}]
NO_VERSION = [{"Name": "nobody"}, {"Name": "AWS-RunShellScript", "DocumentVersion": "77"}]
SHELL = {"DocumentName": "AWS-RunShellScript", "Parameters": {"commands": ["true"]}}


def chosen(key, *values):
    return {**SHELL, "Targets": [{"Key": key, "Values": list(values)}]}

RACK = {"TypeName": "Custom:Rack", "SchemaVersion": "1.0", "CaptureTime": "2026-01-01T00:00:00Z", "Content": [{"Unit": "17", "Room": "B2"}]}


def meaningless():
    """By operation, requests that are well formed and must be refused."""
    filters = [{"Key": "nothing", "Values": ["x"]}]
    exists = {"Key": "AWS:Tag.Key", "Type": "Exists", "Values": ["true"]}
    group = {"Name": "twice", "Filters": [exists]}
    query = {"ResourceTypeFilters": ["AWS::SSM::ManagedInstance"], "TagFilters": [{"Key": ""}]}
    wrong_query = {"ResourceQuery": {"Type": "TAG_FILTERS_1_0", "Query": json.dumps(query)}}
    shell = json.dumps({**CONTENT, "mainSteps": [{**CONTENT["mainSteps"][0], "action": "aws:nothing"}]})
    content = {"Name": "Nothing", "DocumentFormat": "JSON", "DocumentType": "Command"}
    sent = [{**SHELL, "InstanceIds": [NOBODY["InstanceId"]]}, {**SHELL, "InstanceIds": [NODE, NODE]}, chosen("nothing", "x"), chosen("tag:", "x")]
    sent += [chosen("resource-groups:Name", "nobody"), chosen("InstanceIds", NOBODY["InstanceId"]), {**chosen("tag:a"), "Targets": [{"Key": "tag:a"}]}]
    sent += [{**SHELL, "InstanceIds": [NODE], "DocumentVersion": "77"}, {**SHELL, "InstanceIds": [NODE], "DocumentHash": "0" * 64}]
    sent += [{**SHELL, "InstanceIds": [NODE], "DocumentName": "nobody"}, {**SHELL, "InstanceIds": [NODE], "Parameters": {"nothing": ["x"]}}]
    sent += [{**SHELL, "InstanceIds": [NODE], "ServiceRoleArn": "arn:aws:iam::000000000000:role/r", "NotificationConfig":
              {"NotificationArn": "arn:aws:sns:local-1:000000000000:nobody", "NotificationEvents": ["All"], "NotificationType": "Command"}}]
    return {
        "AddTagsToResource": [{**resource, "Tags": [{"Key": "a", "Value": ""}]} for resource in NO_RESOURCE],
        "CancelCommand": [{"CommandId": UUID}, {"CommandId": UUID, "InstanceIds": [NODE]}],
        "CreateActivation": [{"IamRole": "sweep", "ExpirationDate": 1}],
        "CreateDocument": [{**content, "Content": "{}"}, {**content, "Content": "no JSON"}, {**content, "Content": shell}],
        "DeleteActivation": [{"ActivationId": UUID}],
        "DeleteDocument": NO_VERSION + [{"Name": "AWS-RunShellScript"}, {"Name": "AWS-RunShellScript", "VersionName": "nothing"}],
        "DeleteInventory": [{"TypeName": "AWS:Application"}, {"TypeName": "Custom:Nothing"}],
        "DeregisterManagedInstance": [NOBODY],
        "DescribeActivations": [{"Filters": [{"FilterKey": "ActivationIds", "FilterValues": []}], "NextToken": "foreign"}],
        "DescribeDocument": NO_VERSION,
        "DescribeInstanceInformation": [{"Filters": filters}, {"Filters": [{"Key": "PingStatus", "Values": ["Nothing"]}]}],
        "DescribeInstanceProperties": [{"FiltersWithOperator": filters}],
        "DescribeInventoryDeletions": [{"DeletionId": UUID}],
        "GetCommandInvocation": [{"CommandId": UUID, "InstanceId": NODE}],
        "GetDocument": NO_VERSION,
        "GetInventory": [{"Filters": filters}, {"Filters": [exists]}, {"ResultAttributes": [{"TypeName": "AWS:Nothing"}]},
                         {"Aggregators": [{"Expression": "nothing"}]}, {"Aggregators": [{"Groups": [group, group]}]}],
        "GetInventorySchema": [{"TypeName": "nothing"}],
        "ListCommandInvocations": [{"CommandId": UUID, "NextToken": "foreign"}],
        "ListCommands": [{"CommandId": UUID, "NextToken": "foreign"}],
        "ListDocumentVersions": [{"Name": "nobody"}],
        "ListDocuments": [{"Filters": filters}],
        "ListInventoryEntries": [{**NOBODY, "TypeName": "AWS:Tag"}, {"InstanceId": NODE, "TypeName": "AWS:Nothing"}],
        "ListTagsForResource": NO_RESOURCE,
        "PutInventory": [{**NOBODY, "Items": [RACK]}, {"InstanceId": NODE, "Items": [{**RACK, "TypeName": "AWS:Tag"}]}, {"InstanceId": NODE, "Items": [RACK, RACK]}],
        "RemoveTagsFromResource": [{**resource, "TagKeys": ["a"]} for resource in NO_RESOURCE],
        "SendCommand": sent,
        "UpdateDocument": [{"Name": "nobody", "Content": json.dumps(CONTENT)}, {"Name": "AWS-RunShellScript", "Content": json.dumps(CONTENT)}],
        "UpdateDocumentDefaultVersion": [{**body, "DocumentVersion": "77"} for body in NO_VERSION],
        "UpdateManagedInstanceRole": [{**NOBODY, "IamRole": "sweep"}],
        "CreateGroup": [{"Name": "nothing", **wrong_query}],
        "DeleteGroup": [{"Group": "nobody"}],
        "GetGroup": [{"Group": "nobody"}],
        "GetGroupQuery": [{"Group": "nobody"}],
        "ListGroupResources": [{"Group": "nobody"}],
        "ListGroups": [{"Filters": [{"Name": "resource-type", "Values": ["AWS::Nothing::Nothing"]}], "NextToken": "foreign"}],
        "SearchResources": [wrong_query],
        # Of a node that there is not the model has it that it is not connected.
        "GetConnectionStatus": [],
    }


def real(ssm, groups):
    """Calls every built operation with a request that it must take; returns what is wrong with the outputs, and the operations."""
    found, called = [], []

    def call_right(model, name, **body):
        called.append(name)
        operation = model.operation_model(name)
        status, _, content = call(model, operation, body)
        answer = json.loads(content or b"{}")
        shape = operation.output_shape
        lines = list(strange(shape, answer)) if shape and status == 200 else []
        if status != 200 or (shape is None and answer):
            lines.append("status %d: %s" % (status, answer))
        found.extend("%s, a right request: %s" % (name, line) for line in lines)
        return answer

    def right(name, **body):
        return call_right(ssm, name, **body) if name in BUILT else {}

    def group(name, **body):
        return call_right(groups, name, **body)

    resource = {"ResourceType": "ManagedInstance", "ResourceId": NODE}
    right("AddTagsToResource", **resource, Tags=[{"Key": "sweep", "Value": "1"}, {"Key": "other", "Value": ""}])
    right("RemoveTagsFromResource", **resource, TagKeys=["other"])
    right("ListTagsForResource", **resource)
    right("DescribeInstanceInformation", Filters=[{"Key": "tag:sweep", "Values": ["1"]}])
    right("DescribeInstanceProperties", FiltersWithOperator=[{"Key": "InstanceIds", "Values": [NODE], "Operator": "Equal"}])
    right("GetConnectionStatus", Target=NODE)
    right("UpdateManagedInstanceRole", InstanceId=NODE, IamRole="sweep")
    right("PutInventory", InstanceId=NODE, Items=[RACK])
    right("GetInventory", Filters=[{"Key": "Custom:Rack.Unit", "Values": ["17"]}], ResultAttributes=[{"TypeName": "Custom:Rack"}])
    right("GetInventory", Aggregators=[{"Expression": "AWS:InstanceInformation.PlatformType"}])
    right("GetInventorySchema", TypeName="Custom:")
    right("ListInventoryEntries", InstanceId=NODE, TypeName="Custom:Rack")
    right("DeleteInventory", TypeName="Custom:Rack", SchemaDeleteOption="DeleteSchema")
    right("DescribeInventoryDeletions")
    activation = right("CreateActivation", IamRole="sweep", Tags=[{"Key": "sweep", "Value": "2"}])
    right("DescribeActivations")
    right("DeleteActivation", ActivationId=activation.get("ActivationId"))

    document = {"Name": "Sweep", "DocumentFormat": "JSON"}
    right("CreateDocument", **document, DocumentType="Command", Content=json.dumps(CONTENT), Tags=[{"Key": "sweep", "Value": "3"}])
    right("UpdateDocument", **document, DocumentVersion="$LATEST", Content=json.dumps({**CONTENT, "description": "says hi"}))
    right("UpdateDocumentDefaultVersion", Name="Sweep", DocumentVersion="2")
    right("ListDocumentVersions", Name="Sweep")
    right("ListDocuments", Filters=[{"Key": "Owner", "Values": ["Self"]}])
    right("DescribeDocument", Name="Sweep")
    right("GetDocument", Name="Sweep")
    sent = right("SendCommand", DocumentName="Sweep", Targets=[{"Key": "tag:sweep", "Values": ["1"]}], Comment="the sweep")
    command = sent.get("Command", {}).get("CommandId")
    until = time.monotonic() + 60
    while right("ListCommands", CommandId=command)["Commands"][0]["Status"] not in ("Success", "Failed") and time.monotonic() < until:
        time.sleep(0.2)
    right("ListCommandInvocations", CommandId=command, Details=True)
    right("GetCommandInvocation", CommandId=command, InstanceId=NODE)
    right("CancelCommand", CommandId=command)
    right("DeleteDocument", Name="Sweep")

    group("CreateGroup", Name="sweep", Description="of the sweep", ResourceQuery=QUERY, Tags={"sweep": "4"}, Criticality=1)
    group("GetGroup", Group="sweep")
    group("GetGroupQuery", Group="sweep")
    group("ListGroups", MaxResults=1)
    group("ListGroupResources", Group="sweep")
    group("SearchResources", ResourceQuery=QUERY)
    group("DeleteGroup", Group="sweep")
    right("DeregisterManagedInstance", InstanceId=NODE)
    return found, set(called)


wrong = []
meaning_nothing = meaningless()
for service, names in (("ssm", None), ("resource-groups", GROUPS)):
    model = session.get_service_model(service)
    operations = [model.operation_model(name) for name in names or model.operation_names]
    assert service != "ssm" or (len(operations) >= 100 and BUILT <= set(model.operation_names)), "this botocore's model of SSM is too old"
    for operation in operations:
        built = service != "ssm" or operation.name in BUILT
        shape = operation.input_shape
        requests = [("the smallest", smallest(shape) if shape else {}, False), ("nothing", {}, bool(shape and shape.required_members))]
        # What is not built answers alike to everything.
        cases = list(broken(shape)) if shape else []
        requests += [(what, body, True) for what, body in (cases if built else cases[:3])]
        if built:
            of_nothing = list(meaning_nothing.pop(operation.name))
            if shape and "NextToken" in shape.members:
                of_nothing.append({**smallest(shape), "NextToken": "foreign"})
            requests += [("well formed, and meaning nothing: %s" % body, body, True) for body in of_nothing]
        for what, body, must_fail in requests:
            found = judge(model, operation, body, must_fail and built)
            wrong += ["%s %s, %s: %s" % (service, operation.name, what, line) for line in found]
    print("%s: %d operations" % (service, len(operations)))
assert not meaning_nothing, "no operations, or not built: %s" % sorted(meaning_nothing)
found, called = real(session.get_service_model("ssm"), session.get_service_model("resource-groups"))
wrong += found + ["%s: add a request that it must take to real()" % name for name in sorted((BUILT | set(GROUPS)) - called)]
print("%d answers: %d outputs, %d errors" % (judge.outputs + judge.errors, judge.outputs, judge.errors))
assert not wrong, "%d answers are wrong:\n%s" % (len(wrong), "\n".join(wrong[:100]))
