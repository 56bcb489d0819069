"""The command line `dse`: one module a command, loaded when the command is used."""

import codecs
import difflib
import errno
import importlib
import io
import os
import signal
import sys
from importlib.metadata import version
from types import FrameType
from typing import NoReturn

import click

from dse.errors import InvalidInput, printable

COMMANDS = {
    "data": ("dse_cli.data", "Inspect, synthesize or fetch spoken words."),
    "search": ("dse_cli.search", "Search a design space, or resume a search."),
    "confirm": ("dse_cli.confirm", "Train a frontier again with fresh seeds, and test it."),
    "reprice": ("dse_cli.reprice", "Price a study's record again, without training."),
    "frontier": ("dse_cli.frontier", "Print, plot and export the frontier of a study."),
    "train": ("dse_cli.train", "Train one design or a published baseline."),
    "transcribe": ("dse_cli.transcribe", "Write down what a trained network hears."),
    "wake": ("dse_cli.wake", "False alarms an hour against missed words."),
    "estimate": ("dse_cli.estimate", "Price one design: counts, energy, latency."),
    "match": ("dse_cli.match", "Equal-budget designs of every mixing layer."),
    "machine": ("dse_cli.machine", "Write a machine file of your own, from questions."),
    "schema": ("dse_cli.schema", "Print which keys a file may have."),
    "sweep": ("dse_cli.sweep", "Price a whole space without training."),
    "import": ("dse_cli.importing", "Import networks, machines, tables of other tools."),
    "generator": ("dse_cli.generator", "Quality and area of ternary generators."),
    "export": ("dse_cli.export", "Export Verilog, models, files of other tools."),
    "report": ("dse_cli.report", "Write the cost report of a study or of designs."),
    "dashboard": ("dse_cli.dashboard", "Look at studies in the browser."),
}

LETTERS_TYPED = {"µ": "u", "²": "2", "…": "..."}
"""What of our own texts is not ASCII, as a keyboard has it."""


class _LazyGroup(click.Group):
    """Loads a command's module when it is used, so that `dse --help` does not load torch."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Like click, with the nearest name where there is no such command."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean '{close[0]}'?" if close else ""
            ctx.fail(f"No such command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[cmd_name][0])
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.command(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 failed, 2 input that you can mend, 130 interrupted.",
)
@click.version_option(version("ternary-dse"), "--version", prog_name="dse")
def group() -> None:
    """Decide what silicon to build for a speech model, and what model to put on it.

    \b
    A first tour:
      dse data synthesize speech       make a small corpus of spoken words, offline
      dse search examples/demo.yaml    search; Ctrl-C stops, the same command resumes
      dse frontier studies/demo        the best designs: table, CSV, plot
      dse dashboard studies/demo       the same in the browser
    """  # noqa: D301 (click's \b keeps line breaks)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run `dse`; input errors become one sentence on stderr and exit code 2.

    Other exceptions are mistakes of ours and keep their traceback; of those of the system, only
    such as name an error of the system (`errno`) are sentences. SIGTERM is treated as Ctrl-C, and
    the handler from before is put back, as the process of a caller may go on.

    Args:
        arguments: without the program's name; those of the process where it is None.

    Raises:
        SystemExit: otherwise always. 0 done, 1 failed, 2 input that can be mended, 130 interrupted.
    """
    # Before torch loads OpenMP: threads that wait for each other sleep instead of spinning. Where
    # other programs use the cores, too, a training step is then ten times faster (a step of a 6 K
    # network with two threads on two busy cores: 1,122 ms spinning, 108 ms sleeping).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # A batch system stops its jobs by SIGTERM: that is Ctrl-C here.
    before = signal.signal(signal.SIGTERM, _interrupt)
    for stream in (sys.stdout, sys.stderr):
        spell_out(stream)
    try:
        code = group.main(args=arguments, prog_name="dse", standalone_mode=False)
    except InvalidInput as error:
        _stop(str(error), 2)
    except click.ClickException as error:
        from dse_cli.terminal import shown_error

        print(shown_error(error), end="", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except (click.Abort, KeyboardInterrupt):
        _stop("interrupted", 130)
    except OSError as error:
        if error.errno is None:
            raise
        _stop(_describe(error), 2)
    finally:
        signal.signal(signal.SIGTERM, before)
    raise SystemExit(code if isinstance(code, int) else 0)


def spell_out(stream: object) -> None:
    """Let a terminal or a pipe without `µ` and `²` in its letters have `u` and `2`, not an error.

    So it is where LANG is C and Python's own UTF-8 mode is off, as in some batch systems.

    Args:
        stream: stdout or stderr; what has no encoding, such as a test's, is left as it is.
    """
    codecs.register_error("dse_letters", _typed)
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="dse_letters")


def _typed(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    unknown = error.object[error.start : error.end]
    return "".join(LETTERS_TYPED.get(letter, "?") for letter in unknown), error.end


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _describe(error: OSError) -> str:
    """What the system refused, as one sentence with a remedy."""
    place = error.filename or "a file"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"{place} cannot be written: the disk is full; free some space and run again"
    remedy = "choose another place"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        remedy = f"change its permissions or {remedy}"
    return f"{place} cannot be used: {os.strerror(error.errno or 0).lower()}; {remedy}"


def _stop(message: str, code: int) -> NoReturn:
    for line in printable(message).splitlines():  # a file may have several errors
        print(f"dse: {line}", file=sys.stderr)
    raise SystemExit(code)
