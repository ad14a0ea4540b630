"""Who judges which message: for every domain all that its receiver asks before it is believed, as far as golden messages tell.

Judges raise a refusal, and some give what they have read. They are the same for golden messages, which must pass, and for
those in which a bit is changed, which must not.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from . import envelope as domains
from . import known_keys
from .enrolment import judge_answer, judge_claim, read_activation
from .envelope import read_envelope
from .identifiers import digest, fleet_of
from .messages import BODIES, REPORT_PAYLOAD
from .orders import Node, judge_delivery, judge_order
from .postcard import decode
from .refusals import Refusal, beyond_limit
from .sessions import CONTROL, Session, offered_session, read_report
from .signatures import PLAIN, Key, has_signed
from .trust import BRIDGE, COMMAND_CLASS, FRESHNESS, Bundle, first_bundle, successor

TELEMETRY, INVENTORY_STREAM = 1, 2
GAP, MEMORY_LOST, HEALTH, INVENTORY = 4, 5, 7, 8

# On which streams the payload of a report may stand ("Reports"); those that are not here, on control alone.
STREAMS: dict[int, Callable[[int], bool]] = {
    GAP: lambda stream: stream != CONTROL,
    MEMORY_LOST: lambda stream: True,
    HEALTH: lambda stream: stream == TELEMETRY,
    INVENTORY: lambda stream: stream == INVENTORY_STREAM,
}


@dataclass(frozen=True)
class Setting:
    """What receivers know: the version of the contract, bundle 1, the node of seed 5, its sessions, and the activation."""

    version: int
    bundle: Bundle
    root_hash: bytes
    activation: dict
    sessions: Mapping[bytes, Session] = field(default_factory=dict)

    @property
    def node(self) -> Node:
        """The node that orders are for."""
        return Node(known_keys.public(known_keys.NODE), fleet_of(self.bundle.body), self.bundle, self.version)


def setting_of(version: int, golden: dict[str, bytes]) -> Setting:
    """What follows from the golden messages: bundle 1 is pinned by its own hash."""
    data = golden["trust/bundle"]
    root_hash = digest(read_envelope(data, domains.TRUST, version).body)
    bundle = first_bundle(data, root_hash, version)
    setting = Setting(version, bundle, root_hash, read_activation(golden["enrolment/activation"].decode("ascii")))
    session = None
    if "hello/welcome" in golden:
        try:
            session = session_of(golden["hello/welcome"], setting)
        except Refusal:
            # The welcome is judged as a golden message, too, and what is wrong is said there.
            pass
    return replace(setting, sessions={session.identifier: session} if session else {})


def session_of(data: bytes, setting: Setting) -> Session | None:
    """The session of a welcome, once it is believed."""
    return offered_session(_welcome(data, setting), setting.node, known_keys.SEALING_SECRET)


def _named(content: dict, setting: Setting) -> None:
    if content["node"] != setting.node.identifier:
        raise Refusal("Target")


def _by_role(role: int, domain: int) -> Callable[[bytes, Setting], dict]:
    """The judge of a message that a role signs, to one node where it names one."""

    def judge(data: bytes, setting: Setting) -> dict:
        envelope = read_envelope(data, domain, setting.version)
        if not setting.bundle.role_has_signed(role, envelope):
            raise Refusal("Signature")
        content = decode(BODIES[domain], envelope.body)
        if "node" in content:
            _named(content, setting)
        return content

    return judge


def _by_node(domain: int) -> Callable[[bytes, Setting], None]:
    """The judge of a message that the node signs, with algorithm 1."""

    def judge(data: bytes, setting: Setting) -> None:
        envelope = read_envelope(data, domain, setting.version)
        if not has_signed(Key(PLAIN, setting.node.identity_key), envelope):
            raise Refusal("Signature")
        content = decode(BODIES[domain], envelope.body)
        _named(content, setting)

    return judge


def judge_report(data: bytes, setting: Setting) -> dict:
    """A report in the sessions of the node, as the bridge believes it; what it carries is not asked."""
    return read_report(data, setting.node, setting.sessions)


def _report(data: bytes, setting: Setting) -> None:
    """The same, and that its payload is known and may stand on its stream, which is a limit as every place is."""
    report = judge_report(data, setting)
    kind, stream = report["payload"].kind, report["stream"]
    if REPORT_PAYLOAD.open(report["payload"]) is None:
        raise Refusal(f"Unsupported({kind})")
    if not STREAMS.get(kind, lambda number: number == CONTROL)(stream):
        raise beyond_limit("the stream of a report")


def _cancel(data: bytes, setting: Setting) -> None:
    """A key of the role Bridge, or of a rule of the class command; one suffices."""
    envelope = read_envelope(data, domains.CANCEL, setting.version)
    content = setting.bundle.content
    may = {index for role in content["roles"] if role["role"] == BRIDGE for index in role["keys"]}
    may |= {index for rule in content["rules"] if rule["class"] == COMMAND_CLASS for index in rule["keys"]}
    if not may & setting.bundle.signers(envelope):
        raise Refusal("Signature")
    cancel = decode(BODIES[domains.CANCEL], envelope.body)
    if cancel["fleet"] != setting.node.fleet:
        raise Refusal("Fleet")
    _named(cancel, setting)


def _welcome(data: bytes, setting: Setting) -> dict:
    """A welcome that answers the golden hello: the bundles in it are followed, and the newest of them judges it anew."""
    welcome = _by_role(FRESHNESS, domains.WELCOME)(data, setting)
    if welcome["nonce"] != known_keys.NONCE:
        raise Refusal("Unasked")
    bundle = setting.bundle
    for bundle_data in welcome["bundles"]:
        bundle = successor(bundle, bundle_data, setting.version)
    if not bundle.role_has_signed(FRESHNESS, read_envelope(data, domains.WELCOME, setting.version)):
        raise Refusal("Signature", "by the newest bundle that it brings")
    return welcome


def _claim(data: bytes, setting: Setting) -> None:
    request = judge_claim(data, setting.activation, setting.version)
    if request["identity_key"] != setting.node.identity_key:
        raise Refusal("Target", "the claim of another node")


def _trust(data: bytes, setting: Setting) -> None:
    """Bundle 1, or its successor."""
    body = read_envelope(data, domains.TRUST, setting.version).body
    if digest(body) == setting.root_hash:
        first_bundle(data, setting.root_hash, setting.version)
    else:
        successor(setting.bundle, data, setting.version)


JUDGES: dict[int, Callable[[bytes, Setting], object]] = {
    domains.ORDER: lambda data, setting: judge_order(data, setting.node),
    domains.CANCEL: _cancel,
    domains.RECEIPT: _by_role(BRIDGE, domains.RECEIPT),
    domains.WELCOME: _welcome,
    domains.HELLO: _by_node(domains.HELLO),
    domains.REPORT: _report,
    domains.OUTPUT: _by_node(domains.OUTPUT),
    domains.OUTPUT_RECEIPT: _by_role(BRIDGE, domains.OUTPUT_RECEIPT),
    domains.TRUST: _trust,
    domains.CLAIM: _claim,
    domains.CLAIM_REPLY: lambda data, setting: judge_answer(data, setting.root_hash, known_keys.NONCE, setting.version),
    domains.TENURE: _by_role(BRIDGE, domains.TENURE),
    domains.RENEWAL: _by_role(BRIDGE, domains.RENEWAL),
}


def judge_delivered(data: bytes, setting: Setting) -> object:
    """A delivery of an order."""
    return judge_delivery(data, setting.node)


def judge_activation(data: bytes, setting: Setting) -> None:
    """An activation string as it stands in a file."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Refusal("Damaged") from None
    read_activation(text)
