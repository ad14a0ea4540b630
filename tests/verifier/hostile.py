"""The hostile messages: each must be refused by its reader, and with its reason ("Hostile messages")."""

import re
from collections.abc import Callable

from . import envelope as domains
from .envelope import read_envelope
from .folders import HostileMessage
from .identifiers import read_topic
from .judges import Setting, judge_activation, judge_delivered
from .messages import BODIES, ENCLOSED_REQUEST, REPORT_PAYLOAD
from .postcard import decode
from .refusals import Refusal
from .trust import first_bundle, successor

# Reader and reason: the messages that the contract lists with them.
CASES: dict[tuple[str, str], str] = {
    ("activation", "Prefix"): "activation/another-prefix",
    ("activation", "Damaged"): "activation/one-character-wrong",
    ("claim", "Domain(5)"): "claim/a-hello-as-a-claim",
    ("order", 'BeyondLimit("a parameter\'s index in a template")'): "malformed/a-download-that-names-a-missing-parameter",
    ("order", 'BeyondLimit("the text of a document in an order")'): "oversized/a-document-in-a-step",
    ("order", 'BeyondLimit("the proof of a delivery")'): "oversized/too-long-proof",
    ("order", 'BeyondLimit("the validity of an order")'): "oversized/valid-for-31-days",
    ("order", "Malformed"): """
        malformed/cut-in-the-middle malformed/empty malformed/length-beyond-the-end malformed/not-an-envelope
        malformed/unknown-discriminant mis-signed/one-signature-twice""",
    ("order", "TrailingBytes"): "malformed/trailing-bytes",
    ("order", "Signature"): """
        mis-signed/by-a-stranger mis-signed/by-nobody mis-signed/by-the-bridge-only mis-signed/by-the-root-only
        mis-signed/one-bit-of-the-body-flipped mis-signed/signature-of-another-domain""",
    ("order", "Unsupported(999)"): "unknown/payload-of-the-future",
    ("order", "Domain(2)"): "wrong-domain/a-cancel-as-an-order",
    ("order", "Fleet"): "wrong-fleet/order-of-another-fleet",
    ("order", "Target"): """
        wrong-node/index-beyond-the-targets wrong-node/index-of-another-target wrong-node/node-data-added
        wrong-node/not-a-target wrong-node/proof-cut""",
    ("hello", 'BeyondLimit("the sequences of a hello")'): "malformed/hello-that-holds-what-it-has-not-made",
    ("hello", 'BeyondLimit("a fact of a node")'): "oversized/too-long-fact",
    ("hello", 'BeyondLimit("the number of held orders in a hello")'): "oversized/too-many-held-orders",
    ("hello", 'BeyondLimit("the number of streams in a hello")'): "oversized/too-many-streams",
    ("report", 'BeyondLimit("the sequence of a report")'): "malformed/report-without-a-sequence",
    ("welcome", 'BeyondLimit("the pace of a welcome")'): "oversized/pace-too-fast",
    ("cancel", "TrailingBytes"): "malformed/trailing-bytes-in-a-signed-body",
    ("cancel", "BeyondLimit"): "oversized/too-long-signature oversized/too-many-signatures",
    ("successor", "Threshold(Root)"): """
        signature/of-an-algorithm-of-the-future signature/plain-as-ssh signature/plain-by-an-ssh-key
        signature/security-key-as-ssh signature/security-key-counter-changed signature/security-key-flag-added
        signature/security-key-not-touched signature/security-key-of-a-web-site signature/security-key-reserved-flag
        signature/security-key-trailing-byte signature/security-key-verified-and-not-touched
        signature/security-key-with-extensions signature/ssh-as-a-security-key signature/ssh-as-plain
        signature/ssh-by-another-key signature/ssh-cut signature/ssh-empty signature/ssh-malleable
        signature/ssh-namespace-of-git signature/ssh-of-another-body signature/ssh-other-hash-than-said
        signature/ssh-trailing-byte signature/ssh-unknown-hash""",
    ("successor", "AnotherPredecessor"): "trust/a-successor-of-another-history",
    ("trust", "AnotherRoot"): "trust/another-root",
    ("trust", "Envelope(Malformed)"): "trust/cut",
    ("trust", "Threshold(Root)"): "trust/not-signed-by-the-root",
    ("topic", "InvalidTopic"): "topic/path-as-a-node topic/wildcard topic/wrong-shard",
}
EXPECTED = {name: expected for expected, names in CASES.items() for name in names.split()}
ANOTHER_VERSION = re.compile("wrong-version/envelope-of-version-([0-9]+)")


def expected_of(name: str, version: int) -> tuple[str, str] | None:
    """Reader and reason of a hostile message, or None for one that the contract does not list."""
    found = ANOTHER_VERSION.fullmatch(name)
    if found:
        # Which version is another one depends on the version of the contract, so its number is not in the list.
        return None if int(found[1]) == version else ("order", f"Version({found[1]})")
    return EXPECTED.get(name)


def missing(names: set[str]) -> list[str]:
    """What the contract lists and is not there."""
    absent = sorted(EXPECTED.keys() - names)
    if not any(ANOTHER_VERSION.fullmatch(name) for name in names):
        absent.append("wrong-version/envelope-of-version-…")
    return absent


def _of_domain(domain: int) -> Callable[[bytes, Setting], None]:
    """Reads an envelope of a domain, its body, and what is in the body. Signatures are not verified."""

    def read(data: bytes, setting: Setting) -> None:
        content = decode(BODIES[domain], read_envelope(data, domain, setting.version).body)
        if domain == domains.REPORT:
            REPORT_PAYLOAD.open(content["payload"])
        if domain == domains.CLAIM:
            ENCLOSED_REQUEST.open(content["request"])

    return read


def _topic(data: bytes, setting: Setting) -> None:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Refusal("InvalidTopic") from None
    read_topic(text)


READERS: dict[str, Callable[[bytes, Setting], object]] = {
    "order": judge_delivered,
    "cancel": _of_domain(domains.CANCEL),
    "hello": _of_domain(domains.HELLO),
    "welcome": _of_domain(domains.WELCOME),
    "report": _of_domain(domains.REPORT),
    "claim": _of_domain(domains.CLAIM),
    "trust": lambda data, setting: first_bundle(data, setting.root_hash, setting.version),
    "successor": lambda data, setting: successor(setting.bundle, data, setting.version),
    "topic": _topic,
    "activation": judge_activation,
}


def refusal_of(message: HostileMessage, setting: Setting) -> Refusal | None:
    """Why a message is refused, or None where it is not."""
    try:
        READERS[message.reader](message.data, setting)
    except Refusal as refusal:
        return refusal
    return None
