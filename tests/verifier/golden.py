"""The golden messages: each verified, decoded to the last byte, and made again from its values and the secrets of its signers.

Points 1 to 5 of "A verifier". The table below is that of "Golden messages".
"""

from dataclasses import dataclass

from . import enrolment, known_keys
from . import envelope as domains
from .envelope import Envelope, Signature, envelope_bytes, read_envelope
from .identifiers import digest, node_text, read_topic, topic_of_orders
from .judges import JUDGES, Setting, judge_activation, judge_delivered
from .messages import BODIES, DELIVERY, NODE_DATA, PART, REPORT_PAYLOAD, SECRETS
from .orders import judge_delivery, leaf_of, tree_root
from .postcard import decode, encode
from .refusals import Refusal
from .sealing import open_secrets
from .signatures import PLAIN, SECURITY_KEY, SSH, Key, counts, sign_again
from .trust import follow, successor

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
    "health/node-health": _plain(domains.REPORT, known_keys.NODE, 7, 1),
    "hello/hello": _plain(domains.HELLO, known_keys.NODE),
    "hello/welcome": _plain(domains.WELCOME, known_keys.FRESHNESS),
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


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Refusal("NotAsDocumented", otherwise)


def verify(case: Case, data: bytes, setting: Setting) -> None:
    """The message is what its case says, signatures and all."""
    judge(case, data, setting)
    if case.form == STRING:
        return
    if case.form == DELIVERED:
        data = decode(DELIVERY, data)["envelope"]
    domain = domains.ORDER if case.form == DELIVERED else int(case.form)
    envelope = read_envelope(data, domain, setting.version)
    _verify_signers(case, envelope)
    if case.payload:
        report = decode(BODIES[domain], envelope.body)
        _expect(report["payload"].kind == case.payload, f"its payload is of kind {report['payload'].kind}")
        _expect(report["stream"] == case.stream, f"its stream is {report['stream']}")
        first = report["sequence"] == 1
        _expect(report["previous"] == (bytes(32) if first else b"\x09" * 32), "`previous` is another")
        content = REPORT_PAYLOAD.open(report["payload"])
        _expect(not case.variant or content[0] == case.variant, f"its payload is not {case.variant}")


def _verify_signers(case: Case, envelope: Envelope) -> None:
    """These have signed, in this order and with these hashes, and nobody else has; whether or not so many are needed."""
    _expect(len(envelope.signatures) == len(case.signers), f"it has {len(envelope.signatures)} signatures")
    for (seed, algorithm, hash_number), signature in zip(case.signers, envelope.signatures):
        application = known_keys.APPLICATION if algorithm == SECURITY_KEY else b""
        key = Key(algorithm, known_keys.public(seed) + application)
        _expect(counts(key, signature, envelope.covered), f"the signature of seed {seed} does not hold")
        _expect(algorithm == PLAIN or signature.content[0] == hash_number, f"the hash of seed {seed} is another")


def _envelope_again(case: Case, data: bytes, domain: int, version: int) -> bytes:
    envelope = read_envelope(data, domain, version)
    body = encode(BODIES[domain], decode(BODIES[domain], envelope.body))
    made = Envelope(version, domain, (), body)
    signatures: list[Signature] = []
    for (seed, _, _), signature in zip(case.signers, envelope.signatures):
        signatures.append(sign_again(known_keys.secret(seed), known_keys.APPLICATION, signature, made.covered))
    return envelope_bytes(made._replace(signatures=tuple(signatures)))


def encode_again(case: Case, data: bytes, version: int) -> bytes:
    """The message made anew: from its values, and signed with the secrets of the test keys."""
    if case.form == STRING:
        return enrolment.write_activation(enrolment.read_activation(data.decode("ascii"))).encode()
    if case.form == DELIVERED:
        delivery = decode(DELIVERY, data)
        delivery["envelope"] = _envelope_again(case, delivery["envelope"], domains.ORDER, version)
        if delivery["node_data"]:
            delivery["node_data"] = encode(NODE_DATA, decode(NODE_DATA, delivery["node_data"]))
        return encode(DELIVERY, delivery)
    return _envelope_again(case, data, int(case.form), version)


# What the messages say of each other: each function gives a sentence of what it has found, or refuses.


def trust_chain(golden: dict[str, bytes], setting: Setting) -> str:
    """Point 2."""
    bodies = set()
    for name in ("trust/by-ssh-and-security-key", "trust/by-ssh-key-with-sha256"):
        bundle = successor(setting.bundle, golden[name], setting.version)
        signers = bundle.signers(read_envelope(golden[name], domains.TRUST, setting.version))
        _expect(signers == {0, 4, 5}, f"{name}: the keys {sorted(signers)} have signed")
        bodies.add(bundle.body)
    _expect(len(bodies) == 1, "the two bundles 2 have other bodies")
    follow([golden["trust/bundle"], golden["trust/by-ssh-and-security-key"]], setting.root_hash, setting.version)
    return "bundle 1 pinned, bundle 2 followed twice, signed by the keys 0, 4 and 5"


def delivery(golden: dict[str, bytes], setting: Setting) -> str:
    """Point 3; and the order of `command/order` is in the delivery, whose tree is that of the seeds 5, 6 and 7."""
    judged = judge_delivery(golden["command/delivery"], setting.node)
    content = decode(DELIVERY, golden["command/delivery"])
    _expect(content["envelope"] == golden["command/order"], "the order in the delivery is not `command/order`")
    keys = sorted(known_keys.public(seed) for seed in (known_keys.NODE, *known_keys.OTHER_TARGETS))
    root = tree_root([leaf_of(key, b"") for key in keys])
    _expect(judged.order["targets"] == {"count": 3, "root": root}, "its targets are not those of the seeds 5, 6 and 7")
    _expect(keys[content["index"]] == setting.node.identity_key, "its index is not that of the node")
    topic = read_topic(topic_of_orders(setting.node.fleet, node_text(setting.node.identity_key)))
    _expect(topic.kind == "order" and topic.direction == "d", "the topic of its orders cannot be read")
    return "checks 4 to 11 passed"


def delivery_with_secrets(golden: dict[str, bytes], setting: Setting) -> str:
    """The same, and the secrets in its node data open."""
    data = golden["command/delivery-with-secrets"]
    judged = judge_delivery(data, setting.node)
    parts = decode(NODE_DATA, decode(DELIVERY, data)["node_data"])["parts"]
    _expect([part.kind for part in parts] == [SECRETS], "its node data has other parts")
    opened = open_secrets(PART.open(parts[0]), judged, setting.node, known_keys.SEALING_SECRET)
    _expect(opened.keys() == judged.secrets, "its secrets are not those that the plan names")
    for text in opened.values():
        text.decode("utf-8")
    return f"checks 4 to 11 passed, {len(opened)} secrets opened"


def claim(golden: dict[str, bytes], setting: Setting) -> str:
    """Point 4: `mac` and `tls_proof` computed, and the values that "Test keys" says."""
    request = enrolment.judge_claim(golden["enrolment/claim"], setting.activation, setting.version)
    proven = b"".join(request[name] for name in ("identity_key", "tls_key", "nonce"))
    proof = known_keys.sign_with(known_keys.TLS, enrolment.proof_text(setting.version) + proven)
    _expect(request["tls_proof"] == proof, "`tls_proof` is not that of seed 8")
    _expect(request["tls_key"] == known_keys.public(known_keys.TLS), "`tls_key` is not that of seed 8")
    _expect(request["sealing_key"] == known_keys.SEALING_KEY_OF_CLAIM, "`sealing_key` is another")
    _expect(request["nonce"] == known_keys.NONCE, "`nonce` is another")
    return "mac and tls_proof computed"


def answers(golden: dict[str, bytes], setting: Setting) -> str:
    """Point 4: the bundles of both answers followed, the answers verified."""
    for name, due in (("enrolled", "Ok"), ("refused", "Err")):
        data = golden[f"enrolment/{name}"]
        _, outcome = enrolment.judge_answer(data, setting.root_hash, known_keys.NONCE, setting.version)
        _expect(outcome[0] == due and (due == "Ok" or outcome[1] == ("UsedUp", None)), f"{name}: the outcome is {outcome}")
        body = read_envelope(data, domains.CLAIM_REPLY, setting.version).body
        bundles = decode(BODIES[domains.CLAIM_REPLY], body)["bundles"]
        _expect(bundles == [golden["trust/bundle"]], f"{name}: its bundles are others")
    return "2 verified"


def activation(golden: dict[str, bytes], setting: Setting) -> str:
    """Point 5; and that it leads to this fleet."""
    text = golden["enrolment/activation"].decode("ascii")
    content = enrolment.read_activation(text)
    _expect(enrolment.write_activation(content) == text, "it is written in another way")
    _expect(content["root_hash"] == setting.root_hash, "it leads to another root")
    _expect(content["code"] == known_keys.CODE, "its code is another")
    return "read, written again, and of this fleet"


def captured_output(golden: dict[str, bytes], setting: Setting) -> str:
    """The hashes of captured output in `command/result`, where anything was kept and all of it is there."""
    body = read_envelope(golden["command/result"], domains.REPORT, setting.version).body
    result = REPORT_PAYLOAD.open(decode(BODIES[domains.REPORT], body)["payload"])
    compared = 0
    for captured in (step[stream] for step in result["steps"] for stream in ("stdout", "stderr")):
        if 0 < captured["kept_bytes"] == len(captured["head"]):
            _expect(digest(captured["head"]) == captured["sha256"], "the hash of captured output is another")
            compared += 1
    return f"{compared} hash compared"


RELATIONS = {
    "trust chain": trust_chain,
    "delivery": delivery,
    "delivery with secrets": delivery_with_secrets,
    "claim": claim,
    "answers to claims": answers,
    "activation": activation,
    "captured output": captured_output,
}
