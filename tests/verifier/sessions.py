"""Sessions: a key that node and bridge share for a while, and the MACs that stand in the place of signatures ("Sessions").

A session is opened from the offer in a welcome. With it a report of a stream that may be dropped is believed by its MAC.
"""

import hmac
from collections.abc import Mapping
from typing import NamedTuple

from .envelope import REPORT, Envelope, Signature, read_envelope
from .identifiers import node_text
from .messages import OFFER, REPORT_BODY, SESSION
from .orders import Node
from .postcard import decode
from .refusals import Refusal
from .sealing import receiving_context, sending_context
from .signatures import PLAIN, SESSION_MAC, Key, has_signed

LABEL = b"flotilla/session"
CONTROL = 0


class Session(NamedTuple):
    """A session: what names it in envelopes, and its key."""

    identifier: bytes
    key: bytes

    def mac(self, covered: bytes) -> bytes:
        """HMAC-SHA256 over what a signature would cover."""
        return hmac.digest(self.key, covered, "sha256")

    def entry(self, covered: bytes) -> Signature:
        """The one entry of an envelope under the MAC."""
        return Signature(SESSION_MAC, self.identifier, self.mac(covered))


def _information(node: Node, nonce: bytes) -> bytes:
    """What a session is bound to: fleet, node, and the hello that the welcome answers."""
    return LABEL + bytes([node.version, 0]) + node.fleet + node_text(node.identity_key).encode() + nonce


def sealed_session(welcome: dict) -> dict | None:
    """The offer of a session in a welcome, still sealed, or None; other kinds are skipped."""
    offers = [offer for offer in welcome["offers"] if offer.kind == SESSION]
    return OFFER.open(offers[0]) if offers else None


def offered_session(welcome: dict, node: Node, secret_key: bytes) -> Session | None:
    """The session of a welcome that is believed, or None: the welcome counts without one that does not open."""
    try:
        sealed = sealed_session(welcome)
    except Refusal:
        # That an offer which cannot be decoded is none, as one that does not open, and no fault of the welcome is an assumption.
        return None
    if sealed is None:
        return None
    context = receiving_context(secret_key, sealed["encapsulated"], _information(node, welcome["nonce"]))
    key = context and context.open(0, sealed["ciphertext"] + sealed["tag"], sealed["id"])
    return Session(sealed["id"], key) if key else None


def seal_again(session: Session, node: Node, nonce: bytes, randomness: bytes, public_key: bytes) -> dict:
    """The offer made anew, as a bridge that has the same randomness makes it."""
    encapsulated, context = sending_context(randomness, public_key, _information(node, nonce))
    both = context.seal(0, session.key, session.identifier)
    return {"id": session.identifier, "encapsulated": encapsulated, "ciphertext": both[:32], "tag": both[32:]}


def _check_mac(envelope: Envelope, sessions: Mapping[bytes, Session]) -> None:
    """Whether the one entry of an envelope is the MAC of a session that is known."""
    entry = envelope.signatures[0]
    session = sessions.get(entry.key_identifier)
    if session is None:
        raise Refusal("Session", "no session of the node has this id")
    # Compared whole, and so its length as well: a MAC that is cut or longer does not count.
    if not hmac.compare_digest(session.mac(envelope.covered), entry.content):
        raise Refusal("Signature", "the MAC does not fit")


def read_report(data: bytes, node: Node, sessions: Mapping[bytes, Session]) -> dict:
    """A report on the topic of a node that has these sessions: its signature or MAC, its body, and that it names the node.

    A body is decoded only when somebody has vouched for it. Whether its stream may have a MAC is therefore asked after that,
    and the reason is that of a MAC that does not fit."""
    envelope = read_envelope(data, REPORT, node.version)
    # Beside another entry a MAC counts for nothing, and then the signature alone is judged.
    in_session = len(envelope.signatures) == 1 and envelope.signatures[0].algorithm == SESSION_MAC
    if in_session:
        _check_mac(envelope, sessions)
    elif not has_signed(Key(PLAIN, node.identity_key), envelope):
        raise Refusal("Signature")
    report = decode(REPORT_BODY, envelope.body)
    if in_session and report["stream"] == CONTROL:
        raise Refusal("Signature", "a report of control under a MAC")
    if report["node"] != node.identifier:
        raise Refusal("Target")
    return report
