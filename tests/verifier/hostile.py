"""The hostile messages: each must be refused by its reader, and with its reason ("Hostile messages")."""

from collections.abc import Callable

from . import envelope as domains
from .envelope import read_envelope
from .folders import HostileMessage
from .identifiers import read_topic
from .judges import Setting, judge_activation, judge_delivered, judge_report
from .messages import BODIES
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
    ("welcome", 'BeyondLimit("a kind of offer twice")'): "oversized/a-kind-of-offer-twice",
    ("welcome", 'BeyondLimit("the number of offers in a welcome")'): "oversized/too-many-offers",
    ("report in a session", "Session"): "session/another-session",
    ("report in a session", "Target"): "session/another-node-in-the-body",
    ("report in a session", "Signature"): """
        session/another-key session/control-under-a-mac session/mac-as-plain session/mac-beside-a-strangers-signature
        session/mac-before-a-strangers-signature session/mac-before-an-algorithm-of-the-future session/mac-cut session/mac-empty session/mac-of-another-domain session/mac-with-a-byte-more
        session/one-bit-of-the-body-flipped""",
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
    ("order", "Version(0)"): "wrong-version/envelope-of-version-0",
    ("order", "Version(2)"): "wrong-version/envelope-of-version-2",
}
EXPECTED = {name: expected for expected, names in CASES.items() for name in names.split()}


def _of_domain(domain: int) -> Callable[[bytes, Setting], object]:
    """Reads an envelope of a domain and its body: not what is inside, and signatures are not verified."""
    return lambda data, setting: decode(BODIES[domain], read_envelope(data, domain, setting.version).body)


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
    "report in a session": judge_report,
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
