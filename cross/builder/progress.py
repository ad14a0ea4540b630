"""Runs long commands: one line that says how far they are, their whole output in a file, and its end where they fail."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

from .errors import BuildError

# Where nobody watches, a line this often says that it goes on.
PAUSE_S = 20
LINES_OF_A_FAILURE = 40


def say(text: str) -> None:
    print(text, flush=True)


def run(what: str, command: list[str], log: Path, *, folder: Path, variables: dict[str, str] | None = None) -> float:
    """Runs a command to its end and gives its seconds. A BuildError where it fails."""
    log.parent.mkdir(parents=True, exist_ok=True)
    begun = last = time.monotonic()
    steps = 0
    is_watched = sys.stdout.isatty()
    with log.open("w", encoding="utf-8", errors="replace") as file:
        try:
            child = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, **(variables or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
        except OSError as error:
            raise BuildError(f"{what}: {command[0]} cannot be run: {error.strerror}") from error
        assert child.stdout is not None
        for line in child.stdout:
            file.write(line)
            compiled = re.match(r"\s*Compiling (\S+)", line)
            steps += compiled is not None
            now = time.monotonic()
            where = f"{what}: {steps} crates, {now - begun:.0f} s" + (f", {compiled.group(1)}" if compiled else "")
            if is_watched and compiled:
                print(f"\r\x1b[K{where}", end="", flush=True)
            elif not is_watched and now - last >= PAUSE_S:
                say(f"  {where}")
                last = now
        status = child.wait()
    if is_watched and steps:
        print("\r\x1b[K", end="", flush=True)
    if status != 0:
        end = "".join(log.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)[-LINES_OF_A_FAILURE:])
        raise BuildError(f"{what}: failed with status {status}; the whole log is {log}\n{end}")
    return time.monotonic() - begun


def answer(command: list[str], *, folder: Path | None = None, variables: dict[str, str] | None = None) -> str:
    """Standard output of a short command. A BuildError with its standard error where it fails."""
    environment = {**os.environ, **(variables or {})}
    try:
        said = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    except OSError as error:
        raise BuildError(f"{command[0]} cannot be run: {error.strerror}") from error
    if said.returncode != 0:
        raise BuildError(f"{' '.join(command)}: {said.stderr.strip() or f'status {said.returncode}'}")
    return said.stdout
