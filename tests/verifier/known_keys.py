"""The keys that all golden and hostile messages are made with ("Test keys"), and other values that are the same everywhere."""

from .curve import public_key_of, sign
from .identifiers import digest, key_identifier

# Seed: public key, key id.
KEYS = {
    1: ("8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c", "34750f98bd59fcfc"),
    2: ("8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394", "6a3803d5f059902a"),
    3: ("ed4928c628d1c2c6eae90338905995612959273a5c63f93636c14614ac8737d1", "b62e867fa2f33afe"),
    4: ("ca93ac1705187071d67b83c7ff0efe8108e8ec4530575d7726879333dbdabe7c", "c5b940ed3f65c391"),
    5: ("6e7a1cdd29b0b78fd13af4c5598feff4ef2a97166e3ca6f2e4fbfccd80505bf1", "7599776c3085e3f9"),
    6: ("8a875fff1eb38451577acd5afee405456568dd7c89e090863a0557bc7af49f17", "72456720412037a6"),
    7: ("ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c", "fe812c12f3ab4ce6"),
    8: ("1398f62c6d1a457c51ba6a4b5f3dbd2f69fca93216218dc8997e416bd17d93ca", "5c29b78f10a35a49"),
    9: ("fd1724385aa0c75b64fb78cd602fa1d991fdebf76b13c58ed702eac835e9f618", "dbc298251c51321b"),
    11: ("66be7e332c7a453332bd9d0a7f7db055f5c5ef1a06ada66d98b39fb6810c473a", "fdf72a088f18f739"),
    12: ("0b513ad9b4924015ca0902ed079044d3ac5dbec2306f06948c10da8eb6e39f2d", "ed23d853125a3acf"),
    99: ("a7f6dfaf8f38b89ba8ce649b594f91e4d01fdc57f9c9493df43b5e50a9987367", "2b61f0ec7a2b2352"),
}

ROOT, OPERATOR, BRIDGE, FRESHNESS, NODE = 1, 2, 3, 4, 5
OTHER_TARGETS = 6, 7
TLS = 8
ANN, BOB = 11, 12

APPLICATION = b"ssh:flotilla"
SEALING_SECRET = b"\x5e" * 32
SEALING_KEY = "33202f87ce4ff20cbcd0f2e48c8c7f263d11a3609c673b8c7eae56653769c12f"
SECRETS = ["grüße; $(reboot)", ""]
SEALING_KEY_OF_CLAIM = b"\x06" * 32
CODE = b"\x02" * 20
NONCE = b"\x07" * 32
PREVIOUS = b"\x09" * 32

SESSION_IDENTIFIER = b"\x1d" * 8
SESSION_KEY = b"\x4b" * 32

# What HPKE's ephemeral keys are derived from. The contract says it of the session alone; that of the secrets is an assumption,
# which the golden delivery bears out.
SESSION_RANDOMNESS = b"\xe8" * 32
SECRETS_RANDOMNESS = b"\xe9" * 32


def secret(seed: int) -> bytes:
    """The secret key of a seed."""
    return bytes([seed]) * 32


def public(seed: int) -> bytes:
    """The public key of a seed."""
    return public_key_of(secret(seed))


def sign_with(seed: int, message: bytes) -> bytes:
    """The plain signature of a seed."""
    return sign(secret(seed), message)


def faults() -> list[str]:
    """Which lines of the table are not what their seeds give."""
    found = []
    for seed, (public_key, identifier) in KEYS.items():
        if public(seed).hex() != public_key or key_identifier(public(seed)).hex() != identifier:
            found.append(f"test keys: seed {seed} gives {public(seed).hex()}, key id {digest(public(seed)).hex()[:16]}")
    return found
