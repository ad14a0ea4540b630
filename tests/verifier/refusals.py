"""Why a message is refused: one word, written as the hostile messages write it ("Hostile messages")."""

LARGEST_MESSAGE = 65_536


class Refusal(Exception):
    """A message is not taken. `reason` is the word of the contract, `because` says more to a person."""

    def __init__(self, reason: str, because: str = ""):
        super().__init__(f"{reason}: {because}" if because else reason)
        self.reason = reason


def expect(holds: bool, otherwise: str) -> None:
    """Refuses a golden message that is not what the contract says of it, though a receiver might take it."""
    if not holds:
        raise Refusal("NotAsDocumented", otherwise)


def malformed(because: str = "") -> Refusal:
    """It cannot be read at all."""
    return Refusal("Malformed", because)


def beyond_limit(what: str) -> Refusal:
    """It can be read, and something in a body is more, less or another than is allowed ("Limits")."""
    return Refusal(f'BeyondLimit("{what}")')
