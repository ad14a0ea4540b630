"""What ends a build, sorted by who must act."""


class BuildError(Exception):
    """Something was tried and did not work, or its result is not what it must be. Said to people as it is."""


class Unbuildable(Exception):
    """A target that this machine cannot build, with the reason."""
