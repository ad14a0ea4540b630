"""The fields of trust bundles, with their limits ("Trust", "Rules")."""

import unicodedata

from .compounds import Array, Optional, Payload, Sequence, Struct
from .postcard import Byte, Bytes, Fixed, NodeIdentifier, Number, Text
from .refusals import malformed

LONGEST_APPLICATION = 64
MAC_ALGORITHM = 4

# Unicode's White_Space. The contract says "blanks" and not which; Python's own `strip` would take four control characters more.
BLANKS = "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"


def has_control_characters(text: str) -> bool:
    """Whether a text has characters of Unicode's category Cc."""
    return any(unicodedata.category(character) == "Cc" for character in text)


def without_blanks(text: str) -> str:
    """A text without the blanks around it."""
    return text.strip(BLANKS)


def _is_name_of_a_person(text: str) -> bool:
    return not has_control_characters(text) and text == without_blanks(text)


def rises(values: list) -> bool:
    """Whether each is greater than the one before: ascending, and each once."""
    return all(before < after for before, after in zip(values, values[1:]))


def _key_is_well_formed(algorithm: int, content: bytes) -> bool:
    """The form that the bytes of a public key have by its algorithm."""
    if algorithm in (1, 2):
        return len(content) == 32
    if algorithm == 3:
        application = content[32:]
        return (
            application.startswith(b"ssh:")
            and len(application) <= LONGEST_APPLICATION
            and all(0x21 <= byte <= 0x7E for byte in application)
        )
    return algorithm != MAC_ALGORITHM and len(content) <= 128


class PublicKey(Struct):
    """A public key; one of another form cannot be read at all, and is not merely beyond a limit."""

    def read(self, reader):
        value = super().read(reader)
        if not _key_is_well_formed(value["algorithm"], value["bytes"]):
            raise malformed(f"the form of a public key of algorithm {value['algorithm']}")
        return value


TRUST_KEY = Struct(
    "TrustKey",
    {
        "public_key": PublicKey("PublicKey", {"algorithm": Byte(), "bytes": Bytes()}),
        "person": Text(1, 128, name="the person of a key", suits=_is_name_of_a_person),
        "not_after_ms": Optional(Number(64)),
    },
)

ROLE_ENTRY = Struct("RoleEntry", {"role": Byte(), "threshold": Byte(), "keys": Sequence(Number(16), most=64)})

LABEL = Struct(
    "Label",
    {
        "key": Text(1, 64, suits=lambda key: "=" not in key and not has_control_characters(key)),
        "value": Text(1, 128, suits=lambda value: not has_control_characters(value)),
    },
)


def _labels_rise(labels: list[dict]) -> bool:
    return rises([label["key"].encode() for label in labels])


WINDOW = Struct(
    "Window",
    {
        "days": Byte(1, 127),
        "from_minute": Number(16, most=1_439),
        "to_minute": Number(16, least=1, most=1_440),
    },
    {"the ends of a window": lambda window: window["from_minute"] != window["to_minute"]},
)

OPERATOR_RULE = Struct(
    "OperatorRule",
    {
        "name": Text(1, 64, suits=lambda name: not has_control_characters(name)),
        "class": Byte(),
        "keys": Sequence(Number(16), least=1, most=64),
        "threshold": Byte(),
        "approvals": Byte(),
        "scope": Sequence(LABEL, most=16, suits=_labels_rise),
        "hours": Sequence(WINDOW, most=14),
        "conditions": Sequence(Payload({}), most=8),
    },
)

NODE_LABELS = Struct("NodeLabels", {"node": NodeIdentifier(), "labels": Sequence(LABEL, most=16, suits=_labels_rise)})

TRUST_BUNDLE = Struct(
    "TrustBundle",
    {
        "version": Number(32, least=1),
        "previous": Fixed(32),
        "expires_ms": Number(64),
        "epoch": Number(32),
        "minimum_agent_version": Array(Number(16), 3),
        "keys": Sequence(TRUST_KEY, least=1, most=64),
        "roles": Sequence(ROLE_ENTRY, least=1, most=32),
        "rules": Sequence(OPERATOR_RULE, most=64),
        "labels": Sequence(NODE_LABELS, most=256, suits=lambda labels: rises([entry["node"] for entry in labels])),
        "extensions": Sequence(Payload({}), most=16),
    },
)
