"""Where things are, and what the workspace says of itself."""

import os
import subprocess
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from .errors import BuildError

ROOT = Path(__file__).resolve().parent.parent.parent
# 1 January 2026, for a source without history: a file is never from before the project.
FIRST_DATE = 1767225600


@dataclass(frozen=True)
class Places:
    """A checkout of the workspace, and the folder that everything made goes to."""

    source: Path
    output: Path
    fixed_date: int | None = None
    """Of a copy, which has no history: the date of what it was copied from."""

    @staticmethod
    def usual() -> "Places":
        target = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").absolute()
        return Places(ROOT, target / "cross")

    def build(self, std: str) -> Path:
        """Cargo's own folder; one for each way to the standard library, since what the compiler is told differs, and all would be built anew."""
        return self.output / {"rustup": "build", "build-std": "build-std", "for-size": "build-for-size"}[std]

    @property
    def binaries(self) -> Path:
        """Programs as they are handed out, in a folder for each target."""
        return self.output / "binaries"

    @property
    def packages(self) -> Path:
        return self.output / "packages"

    @property
    def logs(self) -> Path:
        return self.output / "logs"

    @cached_property
    def version(self) -> str:
        with (self.source / "Cargo.toml").open("rb") as manifest:
            return tomllib.load(manifest)["workspace"]["package"]["version"]

    @cached_property
    def date(self) -> int:
        """Unix seconds that every file in a package has: SOURCE_DATE_EPOCH, or the time of the last commit."""
        if self.fixed_date is not None:
            return self.fixed_date
        if given := os.environ.get("SOURCE_DATE_EPOCH"):
            if not given.isdecimal():
                raise BuildError(f"SOURCE_DATE_EPOCH must be a number of seconds, not {given!r}")
            return int(given)
        command = ["git", "-C", str(self.source), "log", "-1", "--format=%ct"]
        try:
            said = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            return FIRST_DATE
        return int(said.stdout) if said.returncode == 0 and said.stdout.strip().isdecimal() else FIRST_DATE
