"""Calls every operation of the installed botocore's SSM model with the smallest input that botocore lets pass.

The answer must be an output, or an error that the model lists for the operation, or one of the few general ones; and never a
status of 500 and above.
"""

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

# What any operation may answer besides its own errors.
GENERAL = {"ValidationException", "AccessDeniedException"}

ssm = boto3.client("ssm", config=Config(retries={"max_attempts": 0}))
model = ssm.meta.service_model


def smallest(shape, name="", depth=0):
    """The smallest value of a shape: required members only, at their lower limits."""
    kind = shape.type_name
    if kind == "structure":
        assert depth < 12, shape.name
        # Of a union exactly one member is set, and none of them is required by itself.
        members = list(shape.members)[:1] if shape.is_tagged_union else shape.required_members
        return {member: smallest(shape.members[member], member, depth + 1) for member in members}
    if kind == "list":
        least = shape.metadata.get("min", 0)
        return [smallest(shape.member, name, depth + 1) for _ in range(max(least, 1))]
    if kind == "map":
        return {smallest(shape.key): smallest(shape.value)} if shape.metadata.get("min", 0) else {}
    if kind == "string":
        return shape.enum[0] if shape.enum else "a" * max(shape.metadata.get("min", 1), 1)
    if kind in ("integer", "long"):
        return shape.metadata.get("min", 0)
    if kind == "timestamp":
        return 2000000000
    if kind == "blob":
        return b"a"
    return {"boolean": False, "float": 0.0, "double": 0.0}[kind]


wrong, outputs, errors = [], 0, 0
for name in model.operation_names:
    operation = model.operation_model(name)
    arguments = smallest(operation.input_shape) if operation.input_shape else {}
    modelled = {shape.metadata.get("error", {}).get("code", shape.name) for shape in operation.error_shapes}
    modelled |= {shape.name for shape in operation.error_shapes}
    try:
        ssm._make_api_call(name, arguments)
        outputs += 1
    except ClientError as error:
        errors += 1
        code = error.response["Error"]["Code"]
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if code not in modelled | GENERAL or status >= 500:
            wrong.append("%s: %s (status %d), the model lists %s" % (name, code, status, sorted(modelled)))
print("%d operations: %d outputs, %d modelled errors" % (outputs + errors, outputs, errors))
assert not wrong, "\n".join(wrong)
assert outputs + errors >= 100, "this botocore has no usable model of SSM"
