"""Runs the commands that README.md and the documents tell people to type.

A fenced block of commands says in its info string what is to become of it:

    ```console test               each line that begins with "$ " is typed into a shell; it must end with exit status 0
    ```console test background    one command that goes on: it is started, and stopped by Ctrl-C at the very end
    ```console skip: REASON       it cannot be run on a build machine, and why

The other lines of a block are what people will see. Each must stand in the output, in this order; "…" stands for anything.
A block of commands that says neither is an error, so that no command escapes.

The quickstart of README.md is started first, and the commands of all documents work on its fleet. Its home, `.flotilla` in the
documents, is a temporary folder here, and so is $HOME. Only processes that were started here are ended, by their ids.
"""

import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# README.md first: it starts the quickstart.
DOCUMENTS = ["README.md", "ARCHITECTURE.md", "SECURITY.md", "docs/**/*.md", "examples/**/*.md", "cross/*.md", "systemd/*.md"]
LANGUAGES = {"console", "sh", "bash", "shell"}
COMMAND_LIMIT_S = 120
# The first start builds.
BACKGROUND_LIMIT_S = 1800
STOP_LIMIT_S = 30
HOME_IN_DOCUMENTS = ".flotilla"


class Failure(Exception):
    """What is wrong, for people."""


@dataclass
class Command:
    text: str
    line: int
    expected: list[str] = field(default_factory=list)


@dataclass
class Block:
    document: Path
    line: int
    background: bool = False
    skipped: str | None = None
    commands: list[Command] = field(default_factory=list)

    def place(self, line: int | None = None) -> str:
        return f"{self.document.relative_to(ROOT)}:{line or self.line}"


def blocks(document: Path) -> list[Block]:
    """The blocks of commands in a document; a malformed one is a Failure."""
    found, block, fence = [], None, None
    for number, line in enumerate(document.read_text(encoding="utf-8").splitlines(), 1):
        opening = re.match(r"^\s*(```+)\s*(.*)$", line)
        if fence is None and opening:
            fence = opening.group(1)
            block = begin(document, number, opening.group(2).strip())
        elif fence is not None and line.strip() == fence:
            if block is not None:
                found.append(finish(block))
            block, fence = None, None
        elif block is not None:
            add(block, number, line)
    if fence is not None:
        raise Failure(f"{document.relative_to(ROOT)}: a fenced block has no end")
    return found


def begin(document: Path, number: int, info: str) -> Block | None:
    language, _, mark = info.partition(" ")
    if language not in LANGUAGES:
        return None
    block = Block(document, number)
    if mark == "test background":
        block.background = True
    elif mark.startswith("skip: ") and mark.removeprefix("skip: ").strip():
        block.skipped = mark.removeprefix("skip: ").strip()
    elif mark != "test":
        raise Failure(f"{block.place()}: say `test`, `test background` or `skip: REASON` after ```{language}")
    return block


def add(block: Block, number: int, line: str) -> None:
    commands = block.commands
    if commands and commands[-1].text.endswith("\\") and not commands[-1].expected:
        commands[-1].text += "\n" + line
    elif line.startswith("$ "):
        commands.append(Command(line.removeprefix("$ "), number))
    elif line.strip() and commands:
        commands[-1].expected.append(line.strip())


def finish(block: Block) -> Block:
    if block.skipped is None and not block.commands:
        raise Failure(f"{block.place()}: no line begins with `$ `, so there is no command")
    if block.background and len(block.commands) != 1:
        raise Failure(f"{block.place()}: a background block has one command")
    return block


def first_missing(expected: list[str], output: str) -> str | None:
    """The first expected line that does not stand in the output after the one before it."""
    lines = iter(output.splitlines())
    for wanted in expected:
        pattern = ".*?".join(re.escape(part.strip()).replace(r"\ ", r"\s+") for part in wanted.split("…"))
        if not any(re.search(pattern, line) for line in lines):
            return wanted
    return None


class Reader:
    """Reads a process's output as it comes, with a limit of time."""

    def __init__(self, process: subprocess.Popen):
        self.process, self.text, self.ended = process, "", False
        os.set_blocking(process.stdout.fileno(), False)
        self.selector = selectors.DefaultSelector()
        self.selector.register(process.stdout, selectors.EVENT_READ)

    def until(self, there, limit_s: float) -> bool:
        deadline = time.monotonic() + limit_s
        while not there(self.text) and not self.ended:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            if self.selector.select(min(left, 1.0)):
                data = os.read(self.process.stdout.fileno(), 65536)
                self.ended = not data
                self.text += data.decode(errors="replace")
        return there(self.text)


def start(arguments: list[str], environment: dict[str, str]) -> subprocess.Popen:
    return subprocess.Popen(
        arguments, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True,
    )


class Shell:
    """One shell for a document: what one command sets, the next one has."""

    MARK = "documented-command-ended"

    def __init__(self, environment: dict[str, str]):
        self.process = start(["bash", "--noprofile", "--norc"], environment)
        self.reader = Reader(self.process)

    def run(self, text: str) -> tuple[int, str]:
        self.reader.text = ""
        # Its own input would be the commands that come.
        self.process.stdin.write(f"{{ {text}\n}} </dev/null\nprintf '\\n{self.MARK} %s\\n' \"$?\"\n".encode())
        self.process.stdin.flush()
        pattern = re.compile(rf"\n{self.MARK} (\d+)\n")
        if not self.reader.until(pattern.search, COMMAND_LIMIT_S):
            raise Failure(f"no end within {COMMAND_LIMIT_S} s, or the shell ended; so far:\n{self.reader.text}")
        found = pattern.search(self.reader.text)
        return int(found.group(1)), self.reader.text[: found.start()]

    def close(self) -> None:
        self.process.stdin.close()
        end(self.process)


def end(process: subprocess.Popen, first: signal.Signals = signal.SIGTERM) -> int:
    """Ends a process that we started; the kernel does not give its id to another before we have waited for it."""
    for sign in (first, signal.SIGKILL):
        if process.poll() is None:
            process.send_signal(sign)
            try:
                process.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                continue
    return process.wait()


class Run:
    def __init__(self, folder: Path):
        self.home = folder / "fleet"
        user_home = folder / "home"
        user_home.mkdir()
        real_home = Path.home()
        # Nothing of this machine's own settings of AWS or Flotilla.
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "FLOTILLA_"))}
        path = os.environ.get("PATH", "")
        if venv := os.environ.get("FLOTILLA_VENV"):
            path = f"{venv}/bin:{path}"
        self.environment = kept | {
            "HOME": str(user_home),
            "CARGO_HOME": os.environ.get("CARGO_HOME", str(real_home / ".cargo")),
            "RUSTUP_HOME": os.environ.get("RUSTUP_HOME", str(real_home / ".rustup")),
            "PATH": path,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_PAGER": "",
            "PYTHONUNBUFFERED": "1",
            "TERM": "dumb",
        }
        self.background: list[tuple[str, subprocess.Popen, Reader]] = []
        self.ran = 0

    def here(self, text: str) -> str:
        """The command with the temporary home in the place of `.flotilla`."""
        text = re.sub(rf"(?<![\w/]){re.escape(HOME_IN_DOCUMENTS)}(?![\w.-])", str(self.home), text)
        if re.match(r"cargo quickstart\b", text) and "--home" not in text:
            text = text.replace("cargo quickstart", f"cargo quickstart --home {self.home}", 1)
        return text

    def document(self, found: list[Block]) -> None:
        shell = Shell(self.environment)
        try:
            for block in found:
                if block.skipped is not None:
                    continue
                if block.background:
                    self.start_background(block)
                    continue
                for command in block.commands:
                    self.command(shell, block, command)
        finally:
            shell.close()

    def command(self, shell: Shell, block: Block, command: Command) -> None:
        place = block.place(command.line)
        print(f"  {place}: {command.text}", flush=True)
        self.check_background()
        try:
            status, output = shell.run(self.here(command.text))
        except Failure as failure:
            raise Failure(f"{place}: {command.text}\n{failure}") from failure
        missing = first_missing(command.expected, output)
        if status != 0 or missing is not None:
            what = f"exit status {status}" if status else f"the document promises the line {missing!r}"
            raise Failure(f"{place}: {command.text}\n{what}; the output was:\n{output}")
        self.ran += 1

    def start_background(self, block: Block) -> None:
        command = block.commands[0]
        place = block.place(command.line)
        print(f"  {place}: {command.text} (goes on)", flush=True)
        process = start(["bash", "-c", f"exec {self.here(command.text)}"], self.environment)
        reader = Reader(process)
        self.background.append((place, process, reader))
        if not reader.until(lambda text: first_missing(command.expected, text) is None, BACKGROUND_LIMIT_S):
            missing = first_missing(command.expected, reader.text)
            raise Failure(f"{place}: the document promises the line {missing!r}; the output was:\n{reader.text}")
        self.ran += 1

    def check_background(self) -> None:
        for place, process, reader in self.background:
            if process.poll() is not None:
                reader.until(lambda _text: False, 1)
                raise Failure(f"{place}: what was to go on has ended; its output was:\n{reader.text}")

    def stop_background(self) -> list[str]:
        wrong = []
        while self.background:
            place, process, reader = self.background.pop()
            ended_before = process.poll() is not None
            status = end(process, signal.SIGINT)
            reader.until(lambda _text: False, 1)
            if ended_before or status != 0:
                wrong.append(f"{place}: Ctrl-C should end it with exit status 0, not {status}; its output was:\n{reader.text}")
        return wrong


def main() -> int:
    documents = [path for pattern in DOCUMENTS for path in sorted(ROOT.glob(pattern))]
    folder = Path(tempfile.mkdtemp(prefix="flotilla-documents-"))
    run = Run(folder)
    wrong: list[str] = []
    try:
        everything = [(document, blocks(document)) for document in documents]
        for _document, found in everything:
            run.document(found)
        for _document, found in everything:
            for block in found:
                if block.skipped is not None:
                    print(f"  {block.place()}: not run: {block.skipped}")
    except Failure as failure:
        wrong.append(str(failure))
    finally:
        wrong += run.stop_background()
        shutil.rmtree(folder, ignore_errors=True)
    for text in wrong:
        print(f"documented_commands: {text}", file=sys.stderr)
    if not wrong:
        print(f"{run.ran} commands of {len(documents)} documents do what the documents say")
    return 1 if wrong or run.ran == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
