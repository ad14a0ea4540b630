"""Orders: Merkle targets, and the checks 4 to 11 of a node ("Targets", "The checks of an order")."""

from dataclasses import dataclass

from .command_messages import check_command
from .envelope import ORDER, Envelope, read_envelope
from .identifiers import digest, node_on_the_wire
from .messages import DELIVERY, ORDER_BODY, ORDER_PAYLOAD
from .postcard import decode
from .refusals import Refusal
from .trust import CLASS_OF_PAYLOAD, Bundle, enough_for_rule, is_in_scope

MOST_TARGETS = 1_048_576
LONGEST_PROOF = 20


@dataclass(frozen=True)
class Node:
    """Who judges orders: its key, its fleet, and the newest bundle that it has."""

    identity_key: bytes
    fleet: bytes
    bundle: Bundle
    version: int

    @property
    def identifier(self) -> bytes:
        """Its id as it stands in messages."""
        return node_on_the_wire(self.identity_key)


@dataclass(frozen=True)
class Judged:
    """An order that went through the checks."""

    order: dict
    command: dict
    secrets: set[int]


def leaf_of(identity_key: bytes, node_data: bytes) -> bytes:
    """The leaf of one target."""
    return digest(b"\x00" + digest(identity_key) + digest(node_data))


def inner_of(left: bytes, right: bytes) -> bytes:
    """What stands above two."""
    return digest(b"\x01" + left + right)


def _left_part(count: int) -> int:
    """The largest power of two that is smaller than the count."""
    return 1 << (count - 1).bit_length() - 1


def tree_root(leaves: list[bytes]) -> bytes:
    """The root of the tree over these leaves."""
    if len(leaves) == 1:
        return leaves[0]
    middle = _left_part(len(leaves))
    return inner_of(tree_root(leaves[:middle]), tree_root(leaves[middle:]))


def _root_by_proof(leaf: bytes, index: int, count: int, proof: list[bytes]) -> bytes | None:
    """The root that a proof leads to, or None where it is too short or too long."""
    if count == 1:
        return leaf if not proof else None
    if not proof:
        return None
    middle = _left_part(count)
    if index < middle:
        below = _root_by_proof(leaf, index, middle, proof[:-1])
        return below and inner_of(below, proof[-1])
    below = _root_by_proof(leaf, index - middle, count - middle, proof[:-1])
    return below and inner_of(proof[-1], below)


def proof_holds(leaf: bytes, index: int, count: int, proof: list[bytes], root: bytes) -> bool:
    """Whether the leaf is the one with this index of the tree."""
    if not (index < count <= MOST_TARGETS and len(proof) <= LONGEST_PROOF):
        return False
    return _root_by_proof(leaf, index, count, proof) == root


def judge_order(data: bytes, node: Node) -> Judged:
    """The envelope of an order: checks 5 to 10, and that the kind of the payload is known, right after 9."""
    envelope = read_envelope(data, ORDER, node.version)
    signers = node.bundle.signers(envelope)
    if not any(signers.intersection(rule["keys"]) for rule in node.bundle.content["rules"]):
        raise Refusal("Signature", "nobody of a rule has signed")
    order = decode(ORDER_BODY, envelope.body)
    if order["fleet"] != node.fleet:
        raise Refusal("Fleet")
    payload = order["payload"]
    command = ORDER_PAYLOAD.open(payload)
    if command is None:
        raise Refusal(f"Unsupported({payload.kind})")
    secrets = check_command(command)
    _check_rules(envelope, order, signers, node)
    return Judged(order, command, secrets)


def _check_rules(envelope: Envelope, order: dict, signers: set[int], node: Node) -> None:
    """Check 10: a rule of the class is met, without regard to hours and the ends of keys."""
    labels = node.bundle.labels_of(node.identifier)
    met_elsewhere = False
    for rule in node.bundle.content["rules"]:
        if rule["class"] != CLASS_OF_PAYLOAD[order["payload"].kind]:
            continue
        if enough_for_rule(rule, node.bundle, signers, order["requester"]):
            if is_in_scope(rule, labels):
                return
            met_elsewhere = True
    raise Refusal("Scope" if met_elsewhere else "Signature", f"{len(envelope.signatures)} signatures are not enough")


def judge_delivery(data: bytes, node: Node) -> Judged:
    """A delivery: checks 4 to 11."""
    delivery = decode(DELIVERY, data)
    judged = judge_order(delivery["envelope"], node)
    targets = judged.order["targets"]
    leaf = leaf_of(node.identity_key, delivery["node_data"])
    if not proof_holds(leaf, delivery["index"], targets["count"], delivery["proof"], targets["root"]):
        raise Refusal("Target")
    return judged
