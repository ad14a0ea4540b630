"""The fields of commands and of what is reported about them ("Command: the order", "Command: the reports")."""

import re

from .compounds import Carried, Choice, Mapping, Optional, Pair, Payload, Sequence, Struct
from .postcard import Bytes, Fixed, Flag, Number, Signed, Text, Type, inside
from .refusals import beyond_limit
from .trust_messages import has_control_characters

DEEPEST_PLAN = 3
SHELL_SCRIPT, POWER_SHELL_SCRIPT, RUN_DOCUMENT = 1, 2, 3

ORDER_IDENTIFIER = Fixed(16)
TIMEOUT = Number(32, least=5, most=172_800)

SEGMENT = Choice(("Text", Text()), ("Parameter", Number(16)), ("Secret", Number(16)))
TEMPLATE = Sequence(SEGMENT)

# The list of actions is filled at the end: an action can be a plan, which has steps with actions.
ACTIONS: dict[int, Type] = {}
ACTION = Payload(ACTIONS)

STEP = Struct(
    "Step",
    {
        "name": Text(1, 128),
        "preconditions": Sequence(
            Struct(
                "Precondition",
                {
                    "text": Text(most=1_024),
                    "test": Choice(("Platform", Text(most=1_024)), ("Equal", Pair(TEMPLATE, TEMPLATE)), "Malformed"),
                },
            ),
            most=8,
        ),
        "control": Struct(
            "Control",
            {
                "on_failure": Choice("Continue", "Exit", "SuccessAndExit"),
                "exit_on_success": Flag(),
                "finally": Flag(),
            },
        ),
        "action": ACTION,
    },
)
PLAN = Struct("Plan", {"steps": Sequence(STEP, least=1, most=64)})

COMMAND_ORDER = Struct(
    "CommandOrder",
    {
        "document": Text(most=128),
        "document_version": Text(most=128),
        "parameters": Sequence(
            Struct(
                "Parameter",
                {
                    "name": Text(most=128),
                    "value": Struct("Value", {"text": Text(), "list": Optional(Sequence(Text()))}),
                },
            ),
            most=200,
        ),
        "plan": PLAN,
    },
)


def _names_of_variables(environment: dict) -> bool:
    return all(name and "=" not in name and "\0" not in name for name in environment)


RUN_SHELL_SCRIPT = Struct(
    "RunShellScript",
    {
        "run_command": Sequence(TEMPLATE, most=4_096),
        "working_directory": Optional(TEMPLATE),
        "environment": Mapping(TEMPLATE, most=256, suits=_names_of_variables),
        "timeout_s": TIMEOUT,
    },
)

CREDENTIALS = Struct("Credentials", {"username": TEMPLATE, "password": TEMPLATE})
HTTP_SOURCE = Struct(
    "HttpSource",
    {"url": TEMPLATE, "credentials": Optional(CREDENTIALS), "allow_insecure": Flag(), "sha256": Optional(Fixed(32))},
)
GIT_SOURCE = Struct(
    "GitSource",
    {
        "repository": TEMPLATE,
        "version": Choice("Default", ("Branch", TEMPLATE), ("Commit", TEMPLATE)),
        "path": Optional(TEMPLATE),
        "credentials": Optional(CREDENTIALS),
        "private_key": Optional(TEMPLATE),
        "skip_host_key_check": Flag(),
        "allow_insecure": Flag(),
    },
)
S3_SOURCE = Struct("S3Source", {"path": TEMPLATE, "sha256": Optional(Fixed(32))})
TEXT_SOURCE = Struct(
    "TextSource",
    {
        "name": Text(1, 128, suits=lambda name: "/" not in name and not has_control_characters(name)),
        "content": Text(most=49_152, name="the text of a document in an order"),
    },
)
DOWNLOAD_CONTENT = Struct(
    "DownloadContent",
    {
        "source": Choice(("Http", HTTP_SOURCE), ("Git", GIT_SOURCE), ("S3", S3_SOURCE), ("Text", TEXT_SOURCE)),
        "destination_path": Optional(TEMPLATE),
        "timeout_s": TIMEOUT,
    },
)

DOCKER_ACTIONS = "Create Start Run Stop Rm Exec Inspect Logs Ps Stats Pull Images Rmi".split()
RUN_DOCKER_ACTION = Struct(
    "RunDockerAction",
    {
        "action": Choice(*DOCKER_ACTIONS),
        "container": Optional(TEMPLATE),
        "image": Optional(TEMPLATE),
        "cmd": Optional(TEMPLATE),
        "memory": Optional(TEMPLATE),
        "cpu_shares": Optional(TEMPLATE),
        "volume": Sequence(TEMPLATE, most=64),
        "env": Optional(TEMPLATE),
        "user": Optional(TEMPLATE),
        "publish": Optional(TEMPLATE),
        "working_directory": Optional(TEMPLATE),
        "timeout_s": TIMEOUT,
    },
)



def is_inventory_type(name: str) -> bool:
    """`AWS:` or `Custom:`, and then letters, digits, `.`, `-` and `_`."""
    return re.fullmatch(r"(AWS|Custom):[A-Za-z0-9._-]+", name) is not None and len(name) <= 100


SOFTWARE_INVENTORY = Struct(
    "SoftwareInventory",
    {"types": Sequence(Text(suits=lambda name: name == "Custom:*" or is_inventory_type(name)), most=30)},
)

ACTIONS.update(
    {
        SHELL_SCRIPT: RUN_SHELL_SCRIPT,
        POWER_SHELL_SCRIPT: RUN_SHELL_SCRIPT,
        RUN_DOCUMENT: PLAN,
        4: Struct("Refuse", {"why": Text(most=1_024)}),
        5: DOWNLOAD_CONTENT,
        6: RUN_DOCKER_ACTION,
        7: SOFTWARE_INVENTORY,
    }
)


def check_command(command: dict) -> set[int]:
    """What must hold for the whole of a command: depth, `finally`, templates. Gives the parameters that are secrets.

    Actions that are known are decoded here, so that one which cannot be read refuses the order (check 9)."""
    return _check_plan(command["plan"], len(command["parameters"]), depth=1)


def _check_plan(plan: dict, parameters: int, depth: int) -> set[int]:
    if depth > DEEPEST_PLAN:
        raise beyond_limit("the depth of a plan")
    secrets: set[int] = set()
    for step in plan["steps"]:
        if step["control"]["finally"] and step is not plan["steps"][-1]:
            raise beyond_limit("a step that is not the last one and runs finally")
        _check_templates(step["preconditions"], STEP.fields["preconditions"], parameters)
        secrets |= _check_action(step["action"], parameters, depth)
    return secrets


def _check_action(action: Carried, parameters: int, depth: int) -> set[int]:
    content = ACTION.open(action)
    if content is None:
        return set()  # A kind that is not known refuses the order later (check 24), and with an answer.
    if action.kind == RUN_DOCUMENT:
        return _check_plan(content, parameters, depth + 1)
    is_script = action.kind in (SHELL_SCRIPT, POWER_SHELL_SCRIPT)
    if is_script:
        _check_templates(content["working_directory"], RUN_SHELL_SCRIPT.fields["working_directory"], parameters)
    return _check_templates(content, ACTIONS[action.kind], parameters, may_be_secret=is_script)


def _check_templates(value: object, kind: Type, parameters: int, may_be_secret: bool = False) -> set[int]:
    """Checks all templates in a value for their indices, and gives those of secrets."""
    secrets = set()
    for name, content in inside(kind, value, SEGMENT):
        if name == "Text":
            continue
        if content >= parameters:
            raise beyond_limit("a parameter's index in a template")
        if name == "Secret":
            if not may_be_secret:
                raise beyond_limit("a secret outside of the lines and the environment of a script")
            secrets.add(content)
    return secrets


REASONS = (
    "retained too-large malformed version domain signature fleet target replay expired unsupported trust-version epoch policy "
    "busy out-of-order cancelled unasked trust-expired agent-version memory-lost storage scope secret"
).split()
REASON = Choice(*REASONS)

ADMISSION = Choice(
    ("Accepted", Struct("Accepted", {"order": ORDER_IDENTIFIER})),
    ("Rejected", Struct("Rejected", {"order": ORDER_IDENTIFIER, "reason": REASON})),
)
COMMAND_PROGRESS = Struct("CommandProgress", {"order": ORDER_IDENTIFIER})
COMMAND_REBOOTING = Struct(
    "CommandRebooting", {"order": ORDER_IDENTIFIER, "step": Number(16, most=63), "count": Number(16, least=1)}
)


def _captured(name: str, most: int) -> Struct:
    """One stream of a step. That its head is so small over all steps is the sender's promise; a reader asks it of each step."""
    return Struct(
        "Captured",
        {
            "written_bytes": Number(64),
            "kept_bytes": Number(64),
            "sha256": Fixed(32),
            "head": Bytes(most=most, name=name),
        },
    )


STEP_RESULT = Struct(
    "StepResult",
    {
        "name": Text(most=128),
        "status": Choice("Succeeded", "Failed", "TimedOut", "Cancelled", "NotRun", "Skipped"),
        "exit_code": Signed(),
        "started_ms": Optional(Number(64)),
        "ended_ms": Optional(Number(64)),
        "stdout": _captured("the standard output in a result", most=24_000),
        "stderr": _captured("the standard error in a result", most=8_000),
    },
)
COMMAND_RESULT = Struct(
    "CommandResult",
    {
        "order": ORDER_IDENTIFIER,
        "outcome": Choice("Succeeded", "Failed", "TimedOut", "Cancelled", "Interrupted", "Expired"),
        "explanation": Text(most=1_024),
        "steps": Sequence(STEP_RESULT, most=64),
    },
)
