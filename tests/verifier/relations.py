"""What the golden messages say of each other: each function gives a sentence of what it has found, or refuses.

Points 2 to 6 of "A verifier", and the hashes of captured output.
"""

from . import enrolment, known_keys
from . import envelope as domains
from .envelope import read_envelope
from .identifiers import digest, node_text, read_topic, topic_of_orders
from .judges import Setting, judge_report, session_of
from .messages import BODIES, DELIVERY, NODE_DATA, PART, REPORT_PAYLOAD, SECRETS
from .node_data import open_node_data
from .node_data import seal_again as seal_secrets_again
from .orders import judge_delivery, leaf_of, tree_root
from .postcard import decode
from .refusals import expect
from .sealing import x25519_public
from .sessions import Session, seal_again, sealed_session
from .trust import follow, successor


def trust_chain(golden: dict[str, bytes], setting: Setting) -> str:
    """Point 2."""
    bodies = set()
    for name in ("trust/by-ssh-and-security-key", "trust/by-ssh-key-with-sha256"):
        bundle = successor(setting.bundle, golden[name], setting.version)
        signers = bundle.signers(read_envelope(golden[name], domains.TRUST, setting.version))
        expect(signers == {0, 4, 5}, f"{name}: the keys {sorted(signers)} have signed")
        bodies.add(bundle.body)
    expect(len(bodies) == 1, "the two bundles 2 have other bodies")
    follow([golden["trust/bundle"], golden["trust/by-ssh-and-security-key"]], setting.root_hash, setting.version)
    return "bundle 1 pinned, bundle 2 followed twice, signed by the keys 0, 4 and 5"


def session(golden: dict[str, bytes], setting: Setting) -> str:
    """Point 3: the session opened, and sealed again to the same bytes; the MAC verified, and the body that of the signed one."""
    opened = session_of(golden["hello/welcome"], setting)
    expect(opened is not None, "the session of the welcome does not open")
    expect(opened == Session(known_keys.SESSION_IDENTIFIER, known_keys.SESSION_KEY), "its id or key is another")
    public_key = x25519_public(known_keys.SEALING_SECRET)
    expect(public_key.hex() == known_keys.SEALING_KEY, "the sealing key of the node is another")
    welcome = decode(BODIES[domains.WELCOME], read_envelope(golden["hello/welcome"], domains.WELCOME, setting.version).body)
    again = seal_again(opened, setting.node, welcome["nonce"], known_keys.SESSION_RANDOMNESS, public_key)
    expect(again == sealed_session(welcome), "the session sealed again is another")
    name = "health/node-health-with-mac"
    judge_report(golden[name], setting)
    envelope = read_envelope(golden[name], domains.REPORT, setting.version)
    expect(envelope.signatures == (opened.entry(envelope.covered),), f"{name} has another MAC")
    signed = read_envelope(golden["health/node-health"], domains.REPORT, setting.version)
    expect(envelope.body == signed.body, f"{name} has another body than the signed one")
    return "opened and sealed again, 1 MAC verified"


def delivery(golden: dict[str, bytes], setting: Setting) -> str:
    """Point 4; and the order of `command/order` is in the delivery, whose tree is that of the seeds 5, 6 and 7."""
    judged = judge_delivery(golden["command/delivery"], setting.node)
    content = decode(DELIVERY, golden["command/delivery"])
    expect(content["envelope"] == golden["command/order"], "the order in the delivery is not `command/order`")
    keys = sorted(known_keys.public(seed) for seed in (known_keys.NODE, *known_keys.OTHER_TARGETS))
    root = tree_root([leaf_of(key, b"") for key in keys])
    expect(judged.order["targets"] == {"count": 3, "root": root}, "its targets are not those of the seeds 5, 6 and 7")
    expect(keys[content["index"]] == setting.node.identity_key, "its index is not that of the node")
    topic = read_topic(topic_of_orders(setting.node.fleet, node_text(setting.node.identity_key)))
    expect(topic.kind == "order" and topic.direction == "d", "the topic of its orders cannot be read")
    return "checks 4 to 11 passed"


def delivery_with_secrets(golden: dict[str, bytes], setting: Setting) -> str:
    """The same, and check 25: the secrets in its node data open, and sealed again they are the same bytes."""
    data = golden["command/delivery-with-secrets"]
    judged = judge_delivery(data, setting.node)
    node_data = decode(DELIVERY, data)["node_data"]
    opened = open_node_data(node_data, judged, setting.node, known_keys.SEALING_SECRET)
    expect([text.decode() for text in opened.values()] == known_keys.SECRETS, "the values that were sealed are others")
    expect(opened.keys() == judged.secrets, "its secrets are not those that the plan names")
    parts = decode(NODE_DATA, node_data)["parts"]
    expect([part.kind for part in parts] == [SECRETS], "its node data has other parts")
    public_key = x25519_public(known_keys.SEALING_SECRET)
    again = seal_secrets_again(opened, judged, setting.node, known_keys.SECRETS_RANDOMNESS, public_key)
    expect(again == PART.open(parts[0]), "its secrets sealed again are others")
    return f"checks 4 to 11 and 25 passed, {len(opened)} secrets opened and sealed again"


def claim(golden: dict[str, bytes], setting: Setting) -> str:
    """Point 5: `mac` and `tls_proof` computed, and the values that "Test keys" says."""
    request = enrolment.judge_claim(golden["enrolment/claim"], setting.activation, setting.version)
    proven = b"".join(request[name] for name in ("identity_key", "tls_key", "nonce"))
    proof = known_keys.sign_with(known_keys.TLS, enrolment.PROOF_TEXT + proven)
    expect(request["tls_proof"] == proof, "`tls_proof` is not that of seed 8")
    expect(request["tls_key"] == known_keys.public(known_keys.TLS), "`tls_key` is not that of seed 8")
    expect(request["sealing_key"] == known_keys.SEALING_KEY_OF_CLAIM, "`sealing_key` is another")
    expect(request["nonce"] == known_keys.NONCE, "`nonce` is another")
    return "mac and tls_proof computed"


def answers(golden: dict[str, bytes], setting: Setting) -> str:
    """Point 5: the bundles of both answers followed, the answers verified."""
    for name, due in (("enrolled", "Ok"), ("refused", "Err")):
        data = golden[f"enrolment/{name}"]
        _, outcome = enrolment.judge_answer(data, setting.root_hash, known_keys.NONCE, setting.version)
        expect(outcome[0] == due and (due == "Ok" or outcome[1] == ("UsedUp", None)), f"{name}: the outcome is {outcome}")
        body = read_envelope(data, domains.CLAIM_REPLY, setting.version).body
        bundles = decode(BODIES[domains.CLAIM_REPLY], body)["bundles"]
        expect(bundles == [golden["trust/bundle"]], f"{name}: its bundles are others")
    return "2 verified"


def activation(golden: dict[str, bytes], setting: Setting) -> str:
    """Point 6; and that it leads to this fleet."""
    text = golden["enrolment/activation"].decode("ascii")
    content = enrolment.read_activation(text)
    expect(enrolment.write_activation(content) == text, "it is written in another way")
    expect(content["root_hash"] == setting.root_hash, "it leads to another root")
    expect(content["code"] == known_keys.CODE, "its code is another")
    return "read, written again, and of this fleet"


def captured_output(golden: dict[str, bytes], setting: Setting) -> str:
    """The hashes of captured output in `command/result`, where all that was kept is there; also where that is nothing."""
    body = read_envelope(golden["command/result"], domains.REPORT, setting.version).body
    result = REPORT_PAYLOAD.open(decode(BODIES[domains.REPORT], body)["payload"])
    compared = 0
    for captured in (step[stream] for step in result["steps"] for stream in ("stdout", "stderr")):
        expect(len(captured["head"]) <= captured["kept_bytes"] <= captured["written_bytes"], "more is there than was kept")
        if captured["kept_bytes"] == len(captured["head"]):
            expect(digest(captured["head"]) == captured["sha256"], "the hash of captured output is another")
            compared += 1
    return f"{compared} hashes compared"


RELATIONS = {
    "trust chain": trust_chain,
    "session": session,
    "delivery": delivery,
    "delivery with secrets": delivery_with_secrets,
    "claim": claim,
    "answers to claims": answers,
    "activation": activation,
    "captured output": captured_output,
}
