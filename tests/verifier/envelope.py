"""Envelopes: everything that is signed is in one ("Envelope")."""

from typing import NamedTuple

from .refusals import LARGEST_MESSAGE, Refusal, malformed

MAGIC = b"FL"
MOST_SIGNATURES = 16
LONGEST_SIGNATURE = 1_024

ORDER, CANCEL, RECEIPT, WELCOME, HELLO, REPORT, OUTPUT = range(1, 8)
OUTPUT_RECEIPT, TRUST, CLAIM, CLAIM_REPLY, TENURE, RENEWAL = range(8, 14)


class Signature(NamedTuple):
    """A signature as it stands in an envelope."""

    algorithm: int
    key_identifier: bytes
    content: bytes


class Envelope(NamedTuple):
    """An envelope, read. That it reads says nothing of who has signed it."""

    version: int
    domain: int
    signatures: tuple[Signature, ...]
    body: bytes

    @property
    def covered(self) -> bytes:
        """What its signatures cover ("Signatures")."""
        return covered_bytes(self.version, self.domain, self.body)


def covered_bytes(version: int, domain: int, body: bytes) -> bytes:
    """What a signature of this version and domain covers."""
    return b"flotilla/" + bytes([version, domain, 0]) + body


def read_envelope(data: bytes, domain: int, version: int) -> Envelope:
    """Reads an envelope for one domain; the first check that fails is the reason."""
    if len(data) > LARGEST_MESSAGE:
        # Not in the table of this section, but of every message ("Limits"), and before it is read (check 3 of an order).
        raise Refusal("TooLarge", f"{len(data)} bytes")
    if len(data) < 5 or data[:2] != MAGIC:
        raise malformed("no envelope")
    if data[2] != version:
        raise Refusal(f"Version({data[2]})")
    if data[3] != domain:
        raise Refusal(f"Domain({data[3]})")
    count = data[4]
    if count > MOST_SIGNATURES:
        raise Refusal("BeyondLimit", f"{count} signatures")
    signatures: list[Signature] = []
    position = 5
    for _ in range(count):
        head = data[position : position + 11]
        if len(head) < 11:
            raise malformed("a signature is cut")
        length = int.from_bytes(head[9:], "little")
        if length > LONGEST_SIGNATURE:
            raise Refusal("BeyondLimit", f"a signature of {length} bytes")
        end = position + 11 + length
        if end > len(data):
            raise malformed("a signature goes beyond the end")
        signature = Signature(head[0], head[1:9], data[position + 11 : end])
        if any(signature[:2] == before[:2] for before in signatures):
            raise malformed("two signatures of one algorithm and key id")
        signatures.append(signature)
        position = end
    return Envelope(version, domain, tuple(signatures), data[position:])


def envelope_bytes(envelope: Envelope) -> bytes:
    """Writes an envelope."""
    written = MAGIC + bytes([envelope.version, envelope.domain, len(envelope.signatures)])
    for signature in envelope.signatures:
        written += bytes([signature.algorithm]) + signature.key_identifier
        written += len(signature.content).to_bytes(2, "little") + signature.content
    return written + envelope.body
