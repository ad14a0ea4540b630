"""Ids and topics ("Ids", "Topics")."""

import hashlib
import re
from typing import NamedTuple

from .refusals import Refusal

DOWN_KINDS = {"order", "cancel", "receipt", "welcome", "output-receipt", "renewal", "trust"}
UP_KINDS = {"hello", "report", "output"}


def digest(data: bytes) -> bytes:
    """H of the contract."""
    return hashlib.sha256(data).digest()


def node_text(identity_key: bytes) -> str:
    """The node id of whoever has this key, as text."""
    return "mi-" + digest(identity_key).hex()[:17]


def node_on_the_wire(identity_key: bytes) -> bytes:
    """The same as it stands in messages: 17 digits, one a byte."""
    return bytes(int(digit, 16) for digit in digest(identity_key).hex()[:17])


def key_identifier(public_key: bytes) -> bytes:
    """Which key to try; it proves nothing."""
    return digest(public_key)[:8]


def fleet_of(first_bundle: bytes) -> bytes:
    """The fleet that has this body as its trust bundle 1."""
    return digest(first_bundle)[:8]


def shard_of(node: str) -> str:
    """The shard in the topics of a node."""
    return digest(node.encode()).hex()[:2]


class Topic(NamedTuple):
    """A topic, read: whose it is, and what is on it."""

    fleet: str
    place: str
    direction: str
    kind: str


_FLEET = "(?P<fleet>[0-9a-f]{16})"
_NODE = "(?P<shard>[0-9a-f]{2})/(?P<node>mi-[0-9a-f]{17})"
_SHAPES = [
    re.compile(shape)
    for shape in (
        f"fl/1/{_FLEET}/{_NODE}/(?P<direction>d)/(?P<kind>{'|'.join(sorted(DOWN_KINDS))})",
        f"fl/1/{_FLEET}/{_NODE}/(?P<direction>u)/(?P<kind>{'|'.join(sorted(UP_KINDS))})",
        f"fl/1/{_FLEET}/{_NODE}/(?P<direction>s)/(?P<kind>online)",
        f"fl/1/{_FLEET}/(?P<place>all)/(?P<direction>d)/(?P<kind>trust)",
        f"fl/1/{_FLEET}/(?P<place>claim/[0-9a-f]{{32}})/(?P<direction>[ud])",
        f"fl/1/{_FLEET}/(?P<place>bridge)/(?P<direction>s)/(?P<kind>tenure)",
    )
]


def read_topic(text: str) -> Topic:
    """Reads the text of a topic; whatever is not in the list is no topic, and a shard that is not the node's is none either."""
    for shape in _SHAPES:
        found = shape.fullmatch(text)
        if found:
            named = found.groupdict()
            node = named.get("node")
            if node and named["shard"] != shard_of(node):
                break
            return Topic(named["fleet"], node or named["place"], named["direction"], named.get("kind") or "claim")
    raise Refusal("InvalidTopic", text)


def topic_of_orders(fleet: bytes, node: str) -> str:
    """Where the orders of a node come."""
    return f"fl/1/{fleet.hex()}/{shard_of(node)}/{node}/d/order"
