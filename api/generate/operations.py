"""Writes src/operations/table.rs: every operation of the SSM service model with the error it answers while unbuilt.

Run by hand when the model grows, from the folder `api`, with botocore installed (`pip install botocore`):

    python3 generate/operations.py && cargo fmt -p flotilla-api

The error must be one that the model gives for this very operation, so that SDKs turn it into their typed exception,
and one that no script takes for a success or for a reason to try again: "already exists" and "not found" are swallowed
by scripts that want a thing to be there or gone. The choice, in this order: an error that says "not supported"; one
that calls the request invalid; any other that does not mislead; InternalServerError.
"""

import gzip
import json
import pathlib

import botocore

NOT_SUPPORTED = (
    "UnsupportedOperationException",
    "UnsupportedFeatureRequiredException",
    "FeatureNotAvailableException",
    "NoLongerSupportedException",
)
SERVER_FAULT = "InternalServerError"
MISLEADING = (
    "AlreadyExists",
    "NotFound",
    "NotExist",
    "Duplicate",
    "Idempotent",
    "InUse",
    "Exceeded",
    "TooMany",
    "Throttling",
    "Associated",
    "Closed",
    "Unchanged",
)


def read_model():
    folder = pathlib.Path(botocore.__file__).parent / "data" / "ssm" / "2014-11-06"
    packed = folder / "service-2.json.gz"
    if packed.exists():
        return json.loads(gzip.decompress(packed.read_bytes()))
    return json.loads((folder / "service-2.json").read_text())


def error_of(operation):
    errors = [error["shape"] for error in operation.get("errors", [])]
    for wanted in NOT_SUPPORTED:
        if wanted in errors:
            return wanted
    honest = [error for error in errors if error != SERVER_FAULT and not any(word in error for word in MISLEADING)]
    invalid = [error for error in honest if "Invalid" in error or error == "ValidationException"]
    return (invalid or honest or [SERVER_FAULT])[0]


def main():
    model = read_model()
    lines = [
        "//! Written by generate/operations.py from the service model; not edited by hand.",
        "",
        "use super::ListedOperation;",
        "",
        "const fn entry(name: &'static str, unbuilt_error: &'static str) -> ListedOperation {",
        "    ListedOperation { name, unbuilt_error }",
        "}",
        "",
        "/// Every operation of the model, sorted by name.",
        "pub(super) const TABLE: &[ListedOperation] = &[",
    ]
    for name, operation in sorted(model["operations"].items()):
        lines.append(f'    entry("{name}", "{error_of(operation)}"),')
    lines.append("];")
    target = pathlib.Path(__file__).parent.parent / "src" / "operations" / "table.rs"
    target.parent.mkdir(exist_ok=True)
    target.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
