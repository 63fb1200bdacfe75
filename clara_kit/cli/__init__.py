"""The `clara` command: what a person types.

Each subcommand is a function that takes its options by name; its module is loaded when it is wanted.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pkgutil import resolve_name

from clara_kit.core.errors import ClaraError
from clara_kit.core.outside import place, printable


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand; returns the exit code: 0 done, 1 an error that was explained, 2 wrong usage, 130 Ctrl-C."""
    handler = logging.StreamHandler()
    handler.setFormatter(_WithoutWords())
    logging.basicConfig(level=logging.ERROR, handlers=[handler])
    parser = _parser()
    given = vars(parser.parse_args(argv))
    command = given.pop("command")
    if command is None:
        parser.print_help()
        return 2
    try:
        return int(resolve_name(command)(**given))
    except ClaraError as exc:
        print(printable(f"clara: {exc.message}"), file=sys.stderr)
        if exc.hint:
            print(printable(f"What to do: {exc.hint}"), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130


class _WithoutWords(logging.Formatter):
    """One line a record. Of other people's loggers what they always say, and where; not what they say of this case,
    for that quotes what was sent and what came."""

    def format(self, record: logging.LogRecord) -> str:
        """See logging."""
        ours = record.name.startswith("clara_kit")
        said = record.getMessage() if ours else str(record.msg).partition("\n")[0][:100]
        at = f" ({place(record.exc_info[1])})" if record.exc_info and record.exc_info[1] else ""
        return printable(f"{record.name}: {said}{at}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="clara", description="The research kit for Clara's conversations.")
    parser.set_defaults(command=None)
    commands = parser.add_subparsers(metavar="COMMAND")

    demo = commands.add_parser("demo", help="hear and watch a whole conversation, without keys or internet")
    demo.add_argument("--live", action="store_true", help="talk to the real vendors (needs keys, costs money)")
    demo.add_argument("--yes", action="store_true", help="with --live: do not ask before spending")
    demo.add_argument("--script", help="a script of data/scripts/, or a path (default: demo; with --live: demo_live)")
    pace = "latency profile of the twins (default: published)"
    demo.add_argument("--latency", "--profile", default="published", help=pace)
    demo.add_argument("--seed", type=int, default=0, help="seed of the twins' latencies (default: 0)")
    demo.add_argument(
        "--customer",
        help="whom Clara talks to: one of data/customers/ by name (with --live: number or e-mail); none for a stranger",
    )
    demo.add_argument("--template", default="warm", help="a prompt of data/prompts/ (default: warm)")
    demo.set_defaults(command="clara_kit.cli.demo:demo")

    twins = commands.add_parser("twins", help="serve the vendors' twins on one loopback port until interrupted")
    twins.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)")
    twins.add_argument("--latency", "--profile", default="published", help=pace)
    twins.add_argument("--seed", type=int, default=0)
    twins.add_argument("--script", help="a script whose lines the recogniser knows and whose faults happen")
    twins.add_argument("--any-key", action="store_true", help="let any key in (default: only test-key)")
    twins.set_defaults(command="clara_kit.cli.twins:serve")

    doctor = commands.add_parser("doctor", help="what works here, and what to do for the rest")
    doctor.add_argument("--live", action="store_true", help="say one sentence through each vendor with a key")
    doctor.add_argument("--yes", action="store_true", help="with --live: do not ask before spending")
    doctor.add_argument("--json", dest="as_json", action="store_true", help="for machines")
    doctor.set_defaults(command="clara_kit.doctor.show:doctor")

    calibrate = commands.add_parser("calibrate", help="measure the vendors from here: a latency profile of your own")
    calibrate.add_argument("--twins", action="store_true", help="measure the kit's twins instead: no keys, no money")
    calibrate.add_argument("--rounds", type=int, default=20, help="through every vendor, about 35 s each (default: 20)")
    calibrate.add_argument("--cap", dest="cap_usd", type=float, help="spend no more US dollars than this")
    calibrate.add_argument("--yes", action="store_true", help="with --cap: do not ask before spending")
    calibrate.add_argument(
        "--only",
        action="append",
        default=[],
        choices=("stt", "llm", "tts", "avatar"),
        help="one service; may be repeated",
    )
    calibrate.add_argument("--latency", "--profile", default="published", help="with --twins: what they are to be like")
    calibrate.set_defaults(command="clara_kit.cli.calibrate:calibrate")

    lab = commands.add_parser("lab", help="open JupyterLab at Clara's desk; what you change there is your own copy")
    first = "notebooks/00_start_here.ipynb"
    lab.add_argument("notebook", nargs="?", default=first, help=f"what to open (default: {first})")
    lab.add_argument("--port", type=int, default=8888, help="port on 127.0.0.1 (default: 8888, or the next free one)")
    lab.add_argument("--no-browser", action="store_true", help="only print the address")
    lab.set_defaults(command="clara_kit.cli.lab:lab")

    gate = commands.add_parser(
        "gate", help="whether a prompt keeps what the scenarios demand; ends with 0 or 1, for CI"
    )
    gate.add_argument("prompt", nargs="?", default="warm", help="a prompt of data/prompts/, or a path (default: warm)")
    gate.add_argument("--beside", help="the prompt in production: what it does not keep either does not count")
    kinds = ("scripted", "recorded")
    gate.add_argument("--answers", choices=kinds, default="scripted", help="what answers (default: scripted)")
    gate.add_argument(
        "--scenario", action="append", default=[], help="one by name or path; may be repeated (default: all)"
    )
    gate.add_argument(
        "--customer", action="append", default=[], help="an invented one; may be repeated (default: five)"
    )
    gate.add_argument("--calls", help="where recorded answers are kept (default: data/calls)")
    gate.add_argument("--json", dest="as_json", action="store_true", help="for machines")
    gate.set_defaults(command="clara_kit.cli.gate:gate")

    export = commands.add_parser("export", help="a folder with what the shop's application needs, in any language")
    export.add_argument("folder", help="a new one, or one of a former export")
    export.add_argument("--conversations", type=int, default=1000, help="decision vectors (default: 1000)")
    export.set_defaults(command="clara_kit.cli.export:export")

    new = commands.add_parser("new", help="a starter notebook of your own in notebooks/mine")
    new.add_argument("title", help="what it is about; becomes its heading and its file name")
    new.set_defaults(command="clara_kit.cli.new:new")
    return parser
