"""The golden messages: each verified, decoded to the last byte, and made again from its values and the secrets of its signers.

Point 1 of "A verifier". The table below is that of "Golden messages".
"""

from dataclasses import dataclass

from . import enrolment, known_keys
from . import envelope as domains
from .envelope import Envelope, Signature, envelope_bytes, read_envelope
from .judges import JUDGES, MEMORY_LOST, Setting, judge_activation, judge_delivered
from .messages import BODIES, DELIVERY, NODE_DATA, REPORT_PAYLOAD
from .postcard import decode, encode
from .refusals import expect
from .sessions import Session
from .signatures import PLAIN, SECURITY_KEY, SSH, Key, counts, sign_again

SHA256, SHA512 = 1, 2
STRING, DELIVERED = "activation string", "delivery"


@dataclass(frozen=True)
class Case:
    """What a golden message is: its domain or form, who has signed it and how, and of a report its payload and stream."""

    form: int | str
    signers: tuple[tuple[int, int, int], ...]  # seed, algorithm, hash (0 for plain signatures)
    payload: int = 0
    stream: int = 0
    variant: str = ""  # of the payload, where it is an enum
    in_session: bool = False  # nobody has signed it: it has a MAC in the session of the golden welcome


def _plain(form: int | str, seed: int, payload: int = 0, stream: int = 0, variant: str = "") -> Case:
    return Case(form, ((seed, PLAIN, 0),), payload, stream, variant)


def _bundle_two(ssh_hash: int) -> Case:
    return Case(
        domains.TRUST,
        ((known_keys.ROOT, PLAIN, 0), (known_keys.ANN, SSH, ssh_hash), (known_keys.BOB, SECURITY_KEY, SHA512)),
    )


CASES: dict[str, Case] = {
    "bridge/tenure": _plain(domains.TENURE, known_keys.BRIDGE),
    "command/accepted": _plain(domains.REPORT, known_keys.NODE, 1, variant="Accepted"),
    "command/cancel": _plain(domains.CANCEL, known_keys.BRIDGE),
    "command/delivery-with-secrets": _plain(DELIVERED, known_keys.OPERATOR),
    "command/delivery": _plain(DELIVERED, known_keys.OPERATOR),
    "command/order-of-downloads": _plain(domains.ORDER, known_keys.OPERATOR),
    "command/order-of-inventory": _plain(domains.ORDER, known_keys.OPERATOR),
    "command/order": _plain(domains.ORDER, known_keys.OPERATOR),
    "command/output-receipt": _plain(domains.OUTPUT_RECEIPT, known_keys.BRIDGE),
    "command/output": _plain(domains.OUTPUT, known_keys.NODE),
    "command/progress": _plain(domains.REPORT, known_keys.NODE, 2),
    "command/rebooting": _plain(domains.REPORT, known_keys.NODE, 6),
    "command/rejected": _plain(domains.REPORT, known_keys.NODE, 1, variant="Rejected"),
    "command/result": _plain(domains.REPORT, known_keys.NODE, 3),
    "enrolment/activation": Case(STRING, ()),
    "enrolment/claim": _plain(domains.CLAIM, known_keys.NODE),
    "enrolment/enrolled": _plain(domains.CLAIM_REPLY, known_keys.BRIDGE),
    "enrolment/refused": _plain(domains.CLAIM_REPLY, known_keys.BRIDGE),
    "enrolment/renewal": _plain(domains.RENEWAL, known_keys.BRIDGE),
    "health/node-health-with-mac": Case(domains.REPORT, (), 7, 1, in_session=True),
    "health/node-health": _plain(domains.REPORT, known_keys.NODE, 7, 1),
    "hello/hello": _plain(domains.HELLO, known_keys.NODE),
    "hello/welcome": _plain(domains.WELCOME, known_keys.FRESHNESS),
    "inventory/inventory-report": _plain(domains.REPORT, known_keys.NODE, 8, 2),
    "report/gap": _plain(domains.REPORT, known_keys.NODE, 4, 1),
    "report/memory-lost": _plain(domains.REPORT, known_keys.NODE, 5),
    "report/receipt": _plain(domains.RECEIPT, known_keys.BRIDGE),
    "trust/bundle": _plain(domains.TRUST, known_keys.ROOT),
    "trust/by-ssh-and-security-key": _bundle_two(SHA512),
    "trust/by-ssh-key-with-sha256": _bundle_two(SHA256),
}


def judge(case: Case, data: bytes, setting: Setting) -> None:
    """Refuses what the receiver of such a message refuses."""
    if case.form == STRING:
        judge_activation(data, setting)
    elif case.form == DELIVERED:
        judge_delivered(data, setting)
    else:
        JUDGES[int(case.form)](data, setting)


def verify(case: Case, data: bytes, setting: Setting) -> None:
    """The message is what its case says, signatures and all."""
    judge(case, data, setting)
    if case.form == STRING:
        return
    if case.form == DELIVERED:
        data = decode(DELIVERY, data)["envelope"]
    domain = domains.ORDER if case.form == DELIVERED else int(case.form)
    envelope = read_envelope(data, domain, setting.version)
    _verify_signers(case, envelope, setting)
    if case.payload:
        _verify_report(case, decode(BODIES[domain], envelope.body))


def _verify_report(case: Case, report: dict) -> None:
    """It is of the kind and stream that its case says, and stands where such a report stands in a chain."""
    expect(report["payload"].kind == case.payload, f"its payload is of kind {report['payload'].kind}")
    expect(report["stream"] == case.stream, f"its stream is {report['stream']}")
    begins = report["sequence"] == 1 or case.payload == MEMORY_LOST
    expect(report["previous"] == (bytes(32) if begins else known_keys.PREVIOUS), "`previous` is another")
    if case.payload == MEMORY_LOST:
        expect(report["oldest_held"] == report["sequence"], "`oldest_held` is not its own sequence")
    content = REPORT_PAYLOAD.open(report["payload"])
    expect(not case.variant or content[0] == case.variant, f"its payload is not {case.variant}")


def _session_of(setting: Setting) -> Session:
    """The session of the golden welcome, which must have opened."""
    expect(len(setting.sessions) == 1, "the session of hello/welcome is not open")
    return next(iter(setting.sessions.values()))


def _verify_signers(case: Case, envelope: Envelope, setting: Setting) -> None:
    """These have signed, in this order and with these hashes, and nobody else has; whether or not so many are needed."""
    if case.in_session:
        expect(envelope.signatures == (_session_of(setting).entry(envelope.covered),), "its MAC is another")
        return
    expect(len(envelope.signatures) == len(case.signers), f"it has {len(envelope.signatures)} signatures")
    for (seed, algorithm, hash_number), signature in zip(case.signers, envelope.signatures):
        application = known_keys.APPLICATION if algorithm == SECURITY_KEY else b""
        key = Key(algorithm, known_keys.public(seed) + application)
        expect(counts(key, signature, envelope.covered), f"the signature of seed {seed} does not hold")
        expect(algorithm == PLAIN or signature.content[0] == hash_number, f"the hash of seed {seed} is another")


def _envelope_again(case: Case, data: bytes, domain: int, setting: Setting) -> bytes:
    envelope = read_envelope(data, domain, setting.version)
    body = encode(BODIES[domain], decode(BODIES[domain], envelope.body))
    made = Envelope(setting.version, domain, (), body)
    if case.in_session:
        return envelope_bytes(made._replace(signatures=(_session_of(setting).entry(made.covered),)))
    signatures: list[Signature] = []
    for (seed, _, _), signature in zip(case.signers, envelope.signatures):
        signatures.append(sign_again(known_keys.secret(seed), known_keys.APPLICATION, signature, made.covered))
    return envelope_bytes(made._replace(signatures=tuple(signatures)))


def encode_again(case: Case, data: bytes, setting: Setting) -> bytes:
    """The message made anew: from its values, and signed with the secrets of the test keys, or with the session's key."""
    if case.form == STRING:
        return enrolment.write_activation(enrolment.read_activation(data.decode("ascii"))).encode()
    if case.form == DELIVERED:
        delivery = decode(DELIVERY, data)
        delivery["envelope"] = _envelope_again(case, delivery["envelope"], domains.ORDER, setting)
        if delivery["node_data"]:
            delivery["node_data"] = encode(NODE_DATA, decode(NODE_DATA, delivery["node_data"]))
        return encode(DELIVERY, delivery)
    return _envelope_again(case, data, int(case.form), setting)
