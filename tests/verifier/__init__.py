"""An independent verifier of the protocol between device and bridge.

It was written from the contract (`docs/protocol.md`) and the golden and hostile messages alone, by somebody who has not seen
the implementation. It needs nothing but Python's standard library. Names in quotes are sections of the contract.

    python3 -m verifier PATH_TO_PROTOCOL_FOLDER
"""
