"""Trust bundles: which are usable, how they follow one another, and who counts in them ("Trust", "Rules")."""

from dataclasses import dataclass

from .curve import is_weak
from .envelope import TRUST, Envelope, read_envelope
from .identifiers import digest
from .postcard import decode
from .refusals import Refusal
from .signatures import Key, counts
from .trust_messages import TRUST_BUNDLE, without_blanks

ROOT, RELEASE, FRESHNESS, BRIDGE = 1, 2, 3, 4
COMMAND_CLASS = 2
CLASS_OF_PAYLOAD = {1: COMMAND_CLASS}


@dataclass(frozen=True)
class Bundle:
    """A bundle that is usable: the body as it was signed, and what it says."""

    body: bytes
    content: dict

    @property
    def version(self) -> int:
        """Its number, from 1 on."""
        return self.content["version"]

    def key(self, index: int) -> Key:
        """One of its keys."""
        public_key = self.content["keys"][index]["public_key"]
        return Key(public_key["algorithm"], public_key["bytes"])

    def persons(self, indices) -> set[str]:
        """The distinct persons of some keys."""
        return {self.content["keys"][index]["person"] for index in indices}

    def signers(self, envelope: Envelope) -> set[int]:
        """Which of its keys have a signature that holds in the envelope."""
        return {
            index
            for index in range(len(self.content["keys"]))
            if any(counts(self.key(index), signature, envelope.covered) for signature in envelope.signatures)
        }

    def role_has_signed(self, role: int, envelope: Envelope) -> bool:
        """Whether enough persons of a role have; a role that is not there never has."""
        signers = self.signers(envelope)
        return any(
            len(self.persons(signers.intersection(entry["keys"]))) >= entry["threshold"]
            for entry in self.content["roles"]
            if entry["role"] == role
        )

    def labels_of(self, node: bytes) -> dict[str, str]:
        """What the root says of a node."""
        for entry in self.content["labels"]:
            if entry["node"] == node:
                return {label["key"]: label["value"] for label in entry["labels"]}
        return {}


def usable(body: bytes, due: int, previous: bytes) -> Bundle:
    """The bundle of a body as the one with the version that is due, after a body with this hash."""
    try:
        content = decode(TRUST_BUNDLE, body)
    except Refusal as refusal:
        raise Refusal("Body", str(refusal)) from None
    if content["version"] != due:
        raise Refusal("Version", f"{content['version']} where {due} is due")
    if content["previous"] != previous:
        raise Refusal("AnotherPredecessor")
    _check_keys(content["keys"])
    bundle = Bundle(body, content)
    _check_roles(bundle)
    _check_rules(bundle)
    return bundle


def _check_keys(keys: list[dict]) -> None:
    seen = set()
    of_this_curve = {1, 2, 3}
    for entry in keys:
        public_key = entry["public_key"]
        if public_key["algorithm"] in of_this_curve and is_weak(public_key["bytes"][:32]):
            raise Refusal("WeakKey")
    for entry in keys:
        public_key = entry["public_key"]
        content = public_key["bytes"][:32] if public_key["algorithm"] == 3 else public_key["bytes"]
        if content in seen:
            raise Refusal("DuplicateKey")
        seen.add(content)
    spelled: dict[str, str] = {}
    for entry in keys:
        if spelled.setdefault(entry["person"].lower(), entry["person"]) != entry["person"]:
            raise Refusal("SimilarPersons", entry["person"])


def _are_indices(indices: list[int], keys: list) -> bool:
    return len(set(indices)) == len(indices) and all(index < len(keys) for index in indices)


def _check_roles(bundle: Bundle) -> None:
    keys, roles = bundle.content["keys"], bundle.content["roles"]
    seen = set()
    for entry in roles:
        if entry["role"] in seen or not _are_indices(entry["keys"], keys):
            raise Refusal("Unusable", f"role {entry['role']}")
        if not 1 <= entry["threshold"] <= len(bundle.persons(entry["keys"])):
            raise Refusal("Unusable", f"the threshold of role {entry['role']}")
        seen.add(entry["role"])
    if any(keys[index]["not_after_ms"] is not None for entry in roles for index in entry["keys"]):
        raise Refusal("KeyWithAnEnd")
    if ROOT not in seen:
        raise Refusal("Unusable", "no role Root")


def _check_rules(bundle: Bundle) -> None:
    names = set()
    for rule in bundle.content["rules"]:
        if not _are_indices(rule["keys"], bundle.content["keys"]):
            raise Refusal("Rule(Keys)")
        if rule["threshold"] < 1:
            raise Refusal("Rule(NobodySigns)")
        if len(bundle.persons(rule["keys"])) < max(rule["threshold"], rule["approvals"]):
            raise Refusal("Rule(Unreachable)")
        if rule["name"] in names:
            raise Refusal("Rule(Name)")
        names.add(rule["name"])


def _read(data: bytes, version: int) -> Envelope:
    try:
        return read_envelope(data, TRUST, version)
    except Refusal as refusal:
        raise Refusal(f"Envelope({refusal.reason})", str(refusal)) from None


def first_bundle(data: bytes, root_hash: bytes, version: int) -> Bundle:
    """Bundle 1, as a device judges it that knows the hash of its body. `version` is that of the contract."""
    envelope = _read(data, version)
    if digest(envelope.body) != root_hash:
        raise Refusal("AnotherRoot")
    bundle = usable(envelope.body, 1, bytes(32))
    if not bundle.role_has_signed(ROOT, envelope):
        raise Refusal("Threshold(Root)", "its own root has not signed bundle 1")
    return bundle


def successor(before: Bundle, data: bytes, version: int) -> Bundle:
    """The bundle after one that is believed. `version` is that of the contract."""
    envelope = _read(data, version)
    if not before.role_has_signed(ROOT, envelope):
        raise Refusal("Threshold(Root)", "the root of the bundle before has not signed")
    bundle = usable(envelope.body, before.version + 1, digest(before.body))
    if bundle.content["epoch"] < before.content["epoch"]:
        raise Refusal("Epoch")
    if not bundle.role_has_signed(ROOT, envelope):
        raise Refusal("Threshold(Root)", "its own root has not signed")
    return bundle


def follow(envelopes: list[bytes], root_hash: bytes, version: int) -> Bundle:
    """The last of all bundles from 1 on."""
    if not envelopes:
        raise Refusal("NoBundles")
    bundle = first_bundle(envelopes[0], root_hash, version)
    for data in envelopes[1:]:
        bundle = successor(bundle, data, version)
    return bundle


def enough_for_rule(rule: dict, bundle: Bundle, signers: set[int], requester: str) -> bool:
    """Whether enough persons have signed for a rule, and enough others than the requester; scope and hours are not asked."""

    def plain(name: str) -> str:
        return without_blanks(name).lower()

    persons = bundle.persons(signers.intersection(rule["keys"]))
    others = {person for person in persons if plain(person) != plain(requester)}
    # A condition of any kind is of one that is not known: none is, yet.
    return len(persons) >= rule["threshold"] and len(others) >= rule["approvals"] and not rule["conditions"]


def is_in_scope(rule: dict, labels: dict[str, str]) -> bool:
    """Whether a node with these labels is one that the rule is for."""
    return all(labels.get(label["key"]) == label["value"] for label in rule["scope"])
