"""The fields of all other messages, and which body belongs to which domain."""

from . import envelope
from .command_messages import (
    ADMISSION,
    COMMAND_ORDER,
    COMMAND_PROGRESS,
    COMMAND_REBOOTING,
    COMMAND_RESULT,
    ORDER_IDENTIFIER,
    REASON,
    is_inventory_type,
)
from .compounds import Carried, Choice, Enclosed, Optional, Pair, Payload, Sequence, Struct
from .postcard import Byte, Bytes, Fixed, NodeIdentifier, Number, Text, Type
from .trust_messages import TRUST_BUNDLE, rises

NODE = NodeIdentifier()
MONTH_MS = 30 * 24 * 60 * 60 * 1_000
COMMAND = 1
SECRETS = 1
SESSION = 1


def _each_once(pairs: list[tuple]) -> bool:
    return len({first for first, _ in pairs}) == len(pairs)


def _kinds_differ(carried: list[Carried]) -> bool:
    return len({payload.kind for payload in carried}) == len(carried)


# "Orders", "Targets", "Deliveries"

ORDER_PAYLOAD = Payload({COMMAND: COMMAND_ORDER})
ORDER_BODY = Struct(
    "OrderBody",
    {
        "id": ORDER_IDENTIFIER,
        "fleet": Fixed(8),
        "targets": Struct("Targets", {"count": Number(32, least=1, most=1_048_576), "root": Fixed(32)}),
        "requester": Text(most=128),
        "lane": Number(16),
        "sequence": Number(64),
        "epoch": Number(32),
        "not_before_ms": Number(64),
        "not_after_ms": Number(64),
        "minimum_trust_version": Number(32),
        "on_crash": Choice("Never", "Resume", "Probe"),
        "payload": ORDER_PAYLOAD,
    },
    {"the validity of an order": lambda order: 0 <= order["not_after_ms"] - order["not_before_ms"] <= MONTH_MS},
)
DELIVERY = Struct(
    "Delivery",
    {
        "envelope": Bytes(),
        "index": Number(32),
        "proof": Sequence(Fixed(32), most=20, name="the proof of a delivery"),
        "node_data": Bytes(most=16_384),
    },
)
SEALED_SECRETS = Struct(
    "SealedSecrets",
    {
        "encapsulated": Fixed(32),
        "secrets": Sequence(
            Struct("SealedSecret", {"parameter": Number(16), "ciphertext": Bytes(16, 8_208)}),
            least=1,
            most=16,
            suits=lambda secrets: (
                rises([secret["parameter"] for secret in secrets])
                and sum(len(secret["ciphertext"]) - 16 for secret in secrets) <= 15_360
            ),
        ),
    },
)
PART = Payload({SECRETS: SEALED_SECRETS})
NODE_DATA = Struct(
    "NodeData",
    {"parts": Sequence(PART, least=1, most=8, suits=_kinds_differ)},
)

# "Cancels", "Hello and welcome", "Sessions"

CANCEL_BODY = Struct("CancelBody", {"fleet": Fixed(8), "node": NODE, "order": ORDER_IDENTIFIER, "not_after_ms": Number(64)})
_FACT = Text(most=255, name="a fact of a node")
FACTS = Struct(
    "Facts",
    dict.fromkeys(
        ("agent_version", "platform_name", "platform_version", "architecture", "computer_name", "ip_address"), _FACT
    ),
)
HELD = Struct(
    "Held",
    {"oldest": Number(64), "before": Fixed(32), "next": Number(64)},
    {"the sequences of a hello": lambda held: 1 <= held["oldest"] <= held["next"]},
)
REFUSED = Sequence(Pair(REASON, Number(32)), most=64)
HELLO_BODY = Struct(
    "HelloBody",
    {
        "node": NODE,
        "boot": Fixed(16),
        "nonce": Fixed(32),
        "oldest_version": Byte(),
        "newest_version": Byte(),
        "trust_version": Number(32),
        "floor_ms": Number(64),
        "held": Sequence(ORDER_IDENTIFIER, most=1_024, name="the number of held orders in a hello"),
        "control": HELD,
        "droppable": Sequence(Pair(Byte(), HELD), most=16, name="the number of streams in a hello", suits=_each_once),
        "facts": FACTS,
        "refused": REFUSED,
    },
)
SEALED_SESSION = Struct(
    "SealedSession", {"id": Fixed(8), "encapsulated": Fixed(32), "ciphertext": Fixed(32), "tag": Fixed(16)}
)
OFFER = Payload({SESSION: SEALED_SESSION})
WELCOME_BODY = Struct(
    "WelcomeBody",
    {
        "node": NODE,
        "nonce": Fixed(32),
        "time_ms": Number(64, most=2**43 - 1),
        "bundles": Sequence(Bytes(), most=8),
        "resend_minimum_ms": Number(32),
        "resend_maximum_ms": Number(32),
        "reconnect_spread_s": Number(32, most=3_600),
        "chains": Sequence(Pair(Byte(), Number(64, most=2**60 - 1)), most=16),
        "offers": Sequence(OFFER, most=8, name="the number of offers in a welcome"),
    },
    {
        "the pace of a welcome": lambda welcome: 100 <= welcome["resend_minimum_ms"] <= welcome["resend_maximum_ms"],
        "a kind of offer twice": lambda welcome: _kinds_differ(welcome["offers"]),
    },
)

# "Reports", "Health", "Receipts", "Output"

GAP = Struct("Gap", {"from": Number(64, least=1), "head": Fixed(32)})
MEMORY_LOST = Struct("MemoryLost", {"cause": Choice("damaged", "missing"), "barrier_ms": Number(64)})
SPOOL_STATE = Struct("SpoolState", {"stream": Byte(), "reports": Number(32), "bytes": Number(64), "dropped": Number(64)})
NODE_HEALTH = Struct(
    "NodeHealth",
    {
        "uptime_s": Number(64),
        "agent_uptime_s": Number(64),
        "restarts": Optional(Number(32)),
        "jobs_running": Number(32),
        "jobs_waiting": Number(32),
        "storage_failures": Number(32),
        "journal_room_bytes": Optional(Number(64)),
        "spool": Sequence(SPOOL_STATE, most=16),
        "refused": REFUSED,
        "standstill": Text(most=512),
    },
)
_OF_VERSION = Number(32, most=999_999)
INVENTORY_REPORT = Struct(
    "InventoryReport",
    {
        "type_name": Text(suits=is_inventory_type),
        "schema_version": Pair(_OF_VERSION, _OF_VERSION),
        "base": Optional(Fixed(32)),
        "hash": Fixed(32),
        "piece": Number(16),
        "pieces": Number(16, least=1, most=64),
        "bytes": Bytes(1, 16_384),
    },
    {"the pieces of an inventory": lambda report: report["piece"] < report["pieces"]},
)
REPORT_PAYLOAD = Payload(
    {
        1: ADMISSION,
        2: COMMAND_PROGRESS,
        3: COMMAND_RESULT,
        4: GAP,
        5: MEMORY_LOST,
        6: COMMAND_REBOOTING,
        7: NODE_HEALTH,
        8: INVENTORY_REPORT,
    }
)
REPORT_BODY = Struct(
    "ReportBody",
    {
        "node": NODE,
        "stream": Byte(),
        "boot": Fixed(16),
        "sequence": Number(64, least=1, name="the sequence of a report"),
        "previous": Fixed(32),
        "oldest_held": Number(64),
        "time_ms": Optional(Number(64)),
        "payload": REPORT_PAYLOAD,
    },
    {"the oldest report that a node holds": lambda report: report["oldest_held"] <= report["sequence"]},
)
RECEIPT_BODY = Struct(
    "ReceiptBody", {"node": NODE, "stream": Byte(), "boot": Fixed(16), "up_to": Number(64), "head": Fixed(32)}
)
_OF_A_STREAM = {"node": NODE, "order": ORDER_IDENTIFIER, "step": Number(16), "stream": Choice("Stdout", "Stderr")}
OUTPUT_BODY = Struct("OutputBody", _OF_A_STREAM | {"offset": Number(64), "bytes": Bytes(most=16_384)})
OUTPUT_RECEIPT_BODY = Struct("OutputReceiptBody", _OF_A_STREAM | {"up_to": Number(64)})

# "Enrolment", "Renewal", "Tenure"

ACTIVATION = Struct(
    "Activation",
    {"id": Fixed(16), "code": Fixed(20), "host": Text(1, 76), "port": Number(16), "root_hash": Fixed(32)},
)
CLAIM_REQUEST = Struct(
    "ClaimRequest",
    {
        "activation": Fixed(16),
        "identity_key": Fixed(32),
        "sealing_key": Fixed(32),
        "tls_key": Fixed(32),
        "tls_proof": Bytes(64, 64),
        "nonce": Fixed(32),
        "facts": FACTS,
    },
)
ENCLOSED_REQUEST = Enclosed(CLAIM_REQUEST)
CLAIM_BODY = Struct("ClaimBody", {"request": ENCLOSED_REQUEST, "mac": Fixed(32)})
ENROLLED = Struct(
    "Enrolled",
    {"authority": Bytes(), "certificate": Bytes(), "host": Text(), "port": Number(16), "time_ms": Number(64)},
)
CLAIM_REFUSAL = Choice(
    "UnknownActivation", "Expired", "UsedUp", "Revoked", "Malformed", "TryAgain", "Deregistered", "Quarantined"
)
CLAIM_REPLY_BODY = Struct(
    "ClaimReplyBody",
    {
        "nonce": Fixed(32),
        "bundles": Sequence(Bytes(), most=256),
        "outcome": Choice(("Ok", ENROLLED), ("Err", CLAIM_REFUSAL)),
    },
)
RENEWAL_BODY = Struct("RenewalBody", {"node": NODE, "authorities": Fixed(32)})
TENURE_BODY = Struct("TenureBody", {"generation": Number(64), "instance": Fixed(16)})

BODIES: dict[int, Type] = {
    envelope.ORDER: ORDER_BODY,
    envelope.CANCEL: CANCEL_BODY,
    envelope.RECEIPT: RECEIPT_BODY,
    envelope.WELCOME: WELCOME_BODY,
    envelope.HELLO: HELLO_BODY,
    envelope.REPORT: REPORT_BODY,
    envelope.OUTPUT: OUTPUT_BODY,
    envelope.OUTPUT_RECEIPT: OUTPUT_RECEIPT_BODY,
    envelope.TRUST: TRUST_BUNDLE,
    envelope.CLAIM: CLAIM_BODY,
    envelope.CLAIM_REPLY: CLAIM_REPLY_BODY,
    envelope.TENURE: TENURE_BODY,
    envelope.RENEWAL: RENEWAL_BODY,
}
