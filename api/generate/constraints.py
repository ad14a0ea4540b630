"""Writes src/model/ssm.rs and src/model/groups.rs: what the service models say that a request may hold.

Run from the folder `api`, with a botocore that has all operations (tests/run installs one into target/venv):

    ../target/venv/bin/python generate/constraints.py && cargo fmt -p flotilla-api

Every operation of SSM is written, built or not, so that a new endpoint is checked from its first request; of resource-groups those that
are built. Shapes without any limit are left out.

The models' patterns are Java's. There a pattern must match the whole text, and \\w, \\d and \\s are ASCII; Rust's \\w and its sisters know
all scripts, so they are written out. What Rust's crate `regex` does not take at all stands in BY_HAND, each with its reason.
"""

import gzip
import json
import pathlib
import re

import botocore

FOLDER = pathlib.Path(__file__).parent.parent / "src" / "model"
SERVICES = {
    "ssm": ("ssm/2014-11-06", None),
    "groups": (
        "resource-groups/2017-11-27",
        {
            "CreateGroup",
            "DeleteGroup",
            "GetGroup",
            "GetGroupQuery",
            "ListGroupResources",
            "ListGroups",
            "SearchResources",
        },
    ),
}

# Words that this bridge takes besides the model's.
EXTENDED_ENUMS = {
    # Nodes of devices run these, which AWS does not manage.
    "OperatingSystem": ["ALPINE", "OPENWRT", "YOCTO"],
}

BY_HAND = {
    # Looks ahead to refuse text of spaces only: the same is to demand one character that is none.
    r"^(?!\s*$).+": r".*[^\t\n\x0B\f\r ].*",
    # Counts to a number for which the compiled expression would be too large; the length is checked besides.
    r"^.{1,100000}$": r".+",
}
# The models' form of a region in an ARN, and ours: the region of a fleet has any name, local-1 unless it is set.
REGION, OUR_REGION = r"[a-z]{2}(-[a-z]+)+-\d{1}", r"[a-z0-9-]+"

ASCII_CLASSES = {"w": "0-9A-Za-z_", "d": "0-9", "s": r"\t\n\x0B\f\r "}


def rewrite(pattern):
    """The pattern for Rust, where it is another."""
    if pattern in BY_HAND:
        return BY_HAND[pattern]
    pattern = pattern.replace(REGION, OUR_REGION)
    written, inside, index = "", False, 0
    while index < len(pattern):
        letter = pattern[index]
        if letter == "\\":
            following = pattern[index + 1]
            if following in ASCII_CLASSES:
                ranges = ASCII_CLASSES[following]
                written += ranges if inside else "[%s]" % ranges
                # A hyphen after a class stands for itself in Java; in Rust it must be escaped to.
                if inside and pattern[index + 2 : index + 3] == "-":
                    written, index = written + "\\-", index + 1
            elif following == "S":
                written += r"[^\t\n\x0B\f\r ]"
            else:
                written += letter + following
            index += 2
            continue
        if letter == "[" and not inside:
            inside = True
        elif letter == "[":
            # In Rust a bracket in a class opens another class.
            written += "\\"
        elif letter == "]":
            inside = False
        written += letter
        index += 1
    return written


def read_model(path):
    folder = pathlib.Path(botocore.__file__).parent / "data" / path
    packed = folder / "service-2.json.gz"
    text = gzip.decompress(packed.read_bytes()) if packed.exists() else (folder / "service-2.json").read_bytes()
    return json.loads(text)


def snake(name):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).upper()


def rust_text(text):
    quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    return '"%s"' % quoted


def optional(value):
    return "None" if value is None else "Some(%d)" % value


class Writer:
    """Writes the shapes that requests reach, each once."""

    def __init__(self, model):
        self.shapes = model["shapes"]
        self.written = {}

    def limited(self, name, seen=()):
        """Whether a shape or something in it has a limit."""
        if name in seen:
            return False
        shape, seen = self.shapes[name], seen + (name,)
        if shape["type"] == "blob":
            # Its limits count bytes, and it travels as base64; no built operation has one.
            return False
        if any(key in shape for key in ("min", "max", "pattern", "enum", "required")):
            return True
        inner = [member["shape"] for member in shape.get("members", {}).values()]
        inner += [shape[part]["shape"] for part in ("member", "key", "value") if part in shape]
        return any(self.limited(inner_name, seen) for inner_name in inner)

    def reference(self, name):
        if not self.limited(name):
            return "&FREE"
        constant = snake(name)
        if constant not in self.written:
            # The place is taken before the shape is written, because a shape can hold itself.
            self.written[constant] = None
            self.written[constant] = self.expression(name)
        return "&" + constant

    def expression(self, name):
        shape = self.shapes[name]
        kind, least, most = shape["type"], shape.get("min"), shape.get("max")
        span = "%s, %s" % (optional(least), optional(most))
        if kind == "structure":
            return "structure(&[%s])" % ", ".join(self.member(shape, *entry) for entry in sorted(shape["members"].items()))
        if kind == "list":
            return "list(%s, %s)" % (span, self.reference(shape["member"]["shape"]))
        if kind == "map":
            return "map(%s, %s, %s)" % (span, self.reference(shape["key"]["shape"]), self.reference(shape["value"]["shape"]))
        if kind in ("integer", "long"):
            return "number(%s)" % span
        assert kind == "string", (name, kind)
        if "enum" in shape:
            return "word(&[%s])" % ", ".join(map(rust_text, shape["enum"] + EXTENDED_ENUMS.get(name, [])))
        if "pattern" in shape:
            model, ours = shape["pattern"], rewrite(shape["pattern"])
            ours = "None" if ours == model else "Some(%s)" % rust_text(ours)
            return "patterned(%s, %s, %s)" % (span, rust_text(model), ours)
        return "text(%s)" % span

    def member(self, shape, name, reference):
        target = self.shapes[reference["shape"]]
        secret = reference.get("sensitive", False) or target.get("sensitive", False)
        maker = "required" if name in shape.get("required", []) else "member"
        made = '%s("%s", %s)' % (maker, name, self.reference(reference["shape"]))
        return made + ".secret()" if secret else made


def main():
    for module, (path, chosen) in SERVICES.items():
        model = read_model(path)
        writer = Writer(model)
        rows = []
        for name, operation in sorted(model["operations"].items()):
            if chosen is not None and name not in chosen:
                continue
            rows.append('    ("%s", %s),' % (name, writer.reference(operation["input"]["shape"]) if "input" in operation else "&FREE"))
        assert chosen is None or len(rows) == len(chosen)
        body = ["static %s: Shape = %s;" % (name, expression) for name, expression in sorted(writer.written.items())]
        text = "\n".join(body)
        makers = [maker for maker in ("list", "map", "member", "number", "patterned", "required", "structure", "text", "word") if maker + "(" in text]
        free = ["FREE"] if "FREE" in text + "".join(rows) else []
        head = [
            "//! Written by generate/constraints.py from the service model; not edited by hand.",
            "",
            "use super::{%s};" % ", ".join(free + ["Shape"] + makers),
            "",
        ]
        table = ["", "/// The requests of the operations, sorted by name.", "pub(super) static REQUESTS: &[(&str, &Shape)] = &["]
        (FOLDER / (module + ".rs")).write_text("\n".join(head + body + table + rows + ["];"]) + "\n")


if __name__ == "__main__":
    main()
