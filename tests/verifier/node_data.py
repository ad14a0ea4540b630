"""What differs per node: the data beside an order, and the secrets in it ("Deliveries", check 25 of an order)."""

from .identifiers import node_text
from .messages import NODE_DATA, PART, SECRETS
from .orders import Judged, Node
from .postcard import decode
from .refusals import Refusal
from .sealing import Context, receiving_context, sending_context

LABEL = b"flotilla/secret"


def _information(judged: Judged, node: Node) -> bytes:
    """What the secrets of one order for one node are bound to."""
    identifiers = judged.order["fleet"] + judged.order["id"] + node_text(node.identity_key).encode()
    return LABEL + bytes([node.version, 0]) + identifiers


def _sealed_secrets(node_data: bytes) -> dict | None:
    """The part with the secrets, or None where there is none. Every part is decoded before one is refused as not known."""
    if not node_data:
        return None
    parts = {part.kind: PART.open(part) for part in decode(NODE_DATA, node_data)["parts"]}
    for kind, content in parts.items():
        if content is None:
            raise Refusal(f"Unsupported({kind})", "a part of node data")
    return parts.get(SECRETS)


def open_node_data(node_data: bytes, judged: Judged, node: Node, secret_key: bytes) -> dict[int, bytes]:
    """Check 25: all secrets of a delivery by the index of their parameter, or the first refusal."""
    sealed = _sealed_secrets(node_data)
    secrets = {secret["parameter"]: secret["ciphertext"] for secret in sealed["secrets"]} if sealed else {}
    if not judged.secrets <= secrets.keys():
        raise Refusal("Secret", "one that the plan names is missing")
    if sealed is None:
        return {}
    parameters = judged.command["parameters"]
    for index in secrets:
        # That a secret of no parameter is refused like one that does not open is an assumption: it has no name to open it with.
        if index >= len(parameters):
            raise Refusal("Secret", f"there is no parameter {index}")
        if parameters[index]["value"]["text"]:
            raise Refusal("Secret", f"parameter {index} has a value in the order as well")
    context = receiving_context(secret_key, sealed["encapsulated"], _information(judged, node))
    if context is None:
        raise Refusal("Secret", "the encapsulated key is of small order")
    return {
        index: _open(context, number, ciphertext, parameters[index]["name"])
        for number, (index, ciphertext) in enumerate(secrets.items())
    }


def _open(context: Context, number: int, ciphertext: bytes, name: str) -> bytes:
    text = context.open(number, ciphertext, name.encode())
    if text is None:
        raise Refusal("Secret", f"{name} does not open")
    return text


def seal_again(opened: dict[int, bytes], judged: Judged, node: Node, randomness: bytes, public_key: bytes) -> dict:
    """The part with the secrets made anew, as whoever has the same randomness makes it."""
    encapsulated, context = sending_context(randomness, public_key, _information(judged, node))
    parameters = judged.command["parameters"]
    secrets = [
        {"parameter": index, "ciphertext": context.seal(number, text, parameters[index]["name"].encode())}
        for number, (index, text) in enumerate(opened.items())
    ]
    return {"encapsulated": encapsulated, "secrets": secrets}
