"""Checks a folder with `golden` and `hostile` in it: a line a group, a sentence a failure, and exit code 1 if there is one."""

import sys
import time
from pathlib import Path

from . import bit_flips, golden, hostile, known_keys, relations
from .folders import FileFault, files_below, newest_golden, read_golden, read_hostile
from .judges import Setting, setting_of
from .refusals import Refusal


class Report:
    """What was found so far."""

    def __init__(self) -> None:
        self.failures: list[str] = []

    def attempt(self, what: str, action, *arguments):
        """Does something, and gives its result; a refusal or an error is a failure of `what`, and gives None."""
        try:
            return action(*arguments)
        except (Refusal, FileFault) as refusal:
            self.failures.append(f"{what}: {refusal}.")
        except Exception as error:  # pylint: disable=broad-except
            # Whatever else a message brings about is a fault of this verifier, and no reason to leave the others unread.
            self.failures.append(f"{what}: the verifier failed with {type(error).__name__}: {error}.")
        return None

    def expect(self, holds: bool, otherwise: str) -> bool:
        """Notes a failure where something does not hold."""
        if not holds:
            self.failures.append(otherwise)
        return holds


def check_keys(report: Report) -> None:
    """The table of test keys."""
    faults = known_keys.faults()
    report.failures.extend(f"{fault}." for fault in faults)
    print(f"test keys: {len(known_keys.KEYS) - len(faults)} of {len(known_keys.KEYS)} derived from their seeds")


def find_files(report: Report, folder: Path, ending: str) -> dict[str, Path]:
    """The files of a folder; one with another ending is a failure, and so are two with the same content."""
    files, strangers = files_below(folder, ending)
    report.failures.extend(f"{path}: this is no {ending} file." for path in strangers)
    seen: dict[str, str] = {}
    for name, path in files.items():
        content = path.read_bytes().hex()
        report.expect(content not in seen, f"{name}: this is the same file as {seen.get(content)}.")
        seen[content] = name
    return files


def read_messages(report: Report, folder: Path) -> dict[str, bytes]:
    """The golden messages; a file without a case, and a case without a file, are failures."""
    files = find_files(report, folder, ".hex")
    for name in sorted(files.keys() - golden.CASES.keys()):
        report.failures.append(f"golden/{folder.name}/{name}: there is no case for this file.")
    for name in sorted(golden.CASES.keys() - files.keys()):
        report.failures.append(f"golden/{folder.name}/{name}: the file is missing.")
    messages = {}
    for name in sorted(files.keys() & golden.CASES.keys()):
        data = report.attempt(name, read_golden, files[name])
        if data is not None:
            messages[name] = data
    return messages


def differs(one: bytes, other: bytes) -> int:
    """The first place at which they are not the same."""
    return next((place for place, pair in enumerate(zip(one, other)) if pair[0] != pair[1]), min(len(one), len(other)))


def check_golden(report: Report, messages: dict[str, bytes], setting: Setting) -> None:
    """Points 1 to 6."""
    verified = encoded = 0
    for name, data in messages.items():
        case = golden.CASES[name]
        before = len(report.failures)
        report.attempt(f"{name} does not verify", golden.verify, case, data, setting)
        verified += len(report.failures) == before
        again = report.attempt(f"{name} cannot be encoded again", golden.encode_again, case, data, setting)
        if again is not None:
            encoded += report.expect(
                again == data, f"{name}: encoded again it is other bytes, from {differs(again, data)} on."
            )
    print(
        f"golden, version {setting.version}: {verified} verified, {encoded} encoded and signed again, of {len(golden.CASES)}"
    )
    for title, relation in relations.RELATIONS.items():
        found = report.attempt(title, relation, messages, setting)
        print(f"{title}: {found or 'FAILED'}")


def check_hostile(report: Report, folder: Path, setting: Setting) -> None:
    """Point 7, the hostile messages."""
    files = find_files(report, folder, ".txt")
    for name in sorted(hostile.EXPECTED.keys() - files.keys()):
        report.failures.append(f"hostile/{name}: the file is missing.")
    refused = same = 0
    for name, path in files.items():
        message = report.attempt(name, read_hostile, path)
        if message is None:
            continue
        expected = hostile.EXPECTED.get(name)
        if not report.expect(expected is not None, f"hostile/{name}: there is no case for this file."):
            continue
        stated = message.reader, message.refused
        if not report.expect(stated == expected, f"hostile/{name}: it says {stated}, the contract says {expected}."):
            continue
        before = len(report.failures)
        refusal = report.attempt(name, hostile.refusal_of, message, setting)
        if len(report.failures) > before:
            continue
        if report.expect(refusal is not None, f"hostile/{name}: it is not refused, and should be as {message.refused}."):
            refused += 1
            fits = refusal.reason == message.refused
            same += report.expect(fits, f"hostile/{name}: it is refused as {refusal}, and should be as {message.refused}.")
    print(f"hostile: {refused} refused, {same} with the same reason, of {len(files)}")


def check_bit_flips(report: Report, messages: dict[str, bytes], setting: Setting) -> None:
    """Point 7, the golden messages of one signature or MAC, the deliveries, and the activation string."""
    refused = tried = count = 0
    for name, data in messages.items():
        case = golden.CASES[name]
        if len(case.signers) > 1:
            continue
        found = report.attempt(f"{name} with a bit flipped", bit_flips.survivors, case, data, setting)
        if found is None:
            continue
        count += 1
        tried += found[0]
        refused += found[0] - len(found[1])
        places = ", ".join(map(str, found[1][:10]))
        report.expect(not found[1], f"{name}: with one bit flipped it is still taken, in {len(found[1])} places: {places}.")
    print(f"bit flips: {refused:,} refused of {tried:,}, in {count} messages")


def run(protocol: Path) -> int:
    """All groups."""
    start = time.monotonic()
    report = Report()
    check_keys(report)
    newest = report.attempt("golden", newest_golden, protocol)
    if newest:
        version, folder = newest
        messages = read_messages(report, folder)
        setting = report.attempt(
            "trust/bundle and enrolment/activation, which all else needs", setting_of, version, messages
        )
        if setting:
            check_golden(report, messages, setting)
            check_hostile(report, protocol / "hostile", setting)
            check_bit_flips(report, messages, setting)
    for failure in report.failures:
        print(failure)
    outcome = f"{len(report.failures)} failures" if report.failures else "all as it should be"
    print(f"{outcome}, in {time.monotonic() - start:.1f} s")
    return 1 if report.failures else 0


def main() -> int:
    """The command line."""
    if len(sys.argv) != 2:
        print("usage: python3 -m verifier PATH_TO_PROTOCOL_FOLDER", file=sys.stderr)
        return 2
    return run(Path(sys.argv[1]))


if __name__ == "__main__":
    sys.exit(main())
