"""How a device becomes a node: activation strings, claims and their answers ("Enrolment")."""

import base64
import hmac

from . import curve
from .envelope import CLAIM, CLAIM_REPLY, read_envelope
from .identifiers import digest
from .messages import ACTIVATION, CLAIM_BODY, CLAIM_REPLY_BODY, ENCLOSED_REQUEST
from .postcard import decode, encode
from .refusals import Refusal
from .signatures import PLAIN, Key, has_signed
from .trust import BRIDGE, Bundle, follow
from .trust_messages import without_blanks

PREFIX = "fl1_"
LONGEST_ACTIVATION = 250  # characters after the prefix
CHECKSUM = 4

# What the messages of a claim's mac and of its proof begin with.
MAC_TEXT = b"flotilla/claim/1"
PROOF_TEXT = b"flotilla/tls-proof/1"


def write_activation(activation: dict) -> str:
    """The one way to write an activation."""
    body = encode(ACTIVATION, activation)
    encoded = base64.b32encode(body + digest(body)[:CHECKSUM]).decode()
    return PREFIX + encoded.rstrip("=").lower()


def read_activation(text: str) -> dict:
    """Reads an activation string, with white space around it. Another prefix has a word of its own; all else is `Damaged`."""
    text = without_blanks(text)
    if not text.startswith(PREFIX):
        raise Refusal("Prefix")
    encoded = text[len(PREFIX) :]
    if len(encoded) > LONGEST_ACTIVATION:
        raise Refusal("Damaged", f"{len(encoded)} characters")
    try:
        # Lower case only: folding would let a second way of writing pass.
        if encoded != encoded.lower():
            raise ValueError("upper case")
        content = base64.b32decode(encoded.upper() + "=" * (-len(encoded) % 8))
    except ValueError as error:
        raise Refusal("Damaged", str(error)) from None
    if base64.b32encode(content).decode().rstrip("=").lower() != encoded:
        raise Refusal("Damaged", "bits are left over")
    body, checksum = content[:-CHECKSUM], content[-CHECKSUM:]
    if digest(body)[:CHECKSUM] != checksum:
        raise Refusal("Damaged", "the checksum does not fit")
    try:
        return decode(ACTIVATION, body)
    except Refusal as refusal:
        raise Refusal("Damaged", str(refusal)) from None


def judge_claim(data: bytes, activation: dict, version: int) -> dict:
    """A claim under an activation, as a bridge judges it: who signed, the mac, and the proof of the TLS key."""
    envelope = read_envelope(data, CLAIM, version)
    claim = decode(CLAIM_BODY, envelope.body)
    request = ENCLOSED_REQUEST.open(claim["request"])
    for name in ("identity_key", "tls_key"):
        if curve.is_weak(request[name]):
            raise Refusal("WeakKey", name)
    if not has_signed(Key(PLAIN, request["identity_key"]), envelope):
        raise Refusal("Signature")
    proven = PROOF_TEXT + request["identity_key"] + request["tls_key"] + request["nonce"]
    if not curve.verifies(request["tls_key"], proven, request["tls_proof"]):
        raise Refusal("Signature", "the proof of the TLS key")
    if request["activation"] != activation["id"]:
        raise Refusal("UnknownActivation", "another activation")
    if claim["mac"] != hmac.digest(activation["code"], MAC_TEXT + claim["request"], "sha256"):
        raise Refusal("UnknownActivation", "the mac does not fit")
    return request


def judge_answer(data: bytes, root_hash: bytes, nonce: bytes, version: int) -> tuple[Bundle, tuple]:
    """An answer to a claim, as the device reads it: the last bundle, and the outcome, which may be a refusal."""
    envelope = read_envelope(data, CLAIM_REPLY, version)
    answer = decode(CLAIM_REPLY_BODY, envelope.body)
    bundle = follow(answer["bundles"], root_hash, version)
    if not bundle.role_has_signed(BRIDGE, envelope):
        raise Refusal("Signature")
    if answer["nonce"] != nonce:
        raise Refusal("OfAnotherClaim")
    name, content = answer["outcome"]
    if name == "Ok" and content["time_ms"] >= bundle.content["expires_ms"]:
        raise Refusal("ExpiredTrust")
    return bundle, answer["outcome"]
