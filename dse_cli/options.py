"""Options that several commands share: one word means the same, and reads the same, everywhere."""

import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import click
from click.decorators import FC

from cost_models import Objective, accelerator_names, technology_names
from dse.design.point import USUAL
from dse.errors import InvalidInput, short
from dse.networks.lowering import MOST_FRAMES, MOST_OUTPUTS

DEFAULT_MACHINE = "kws_ternary"
FRAMES, OUTPUTS = USUAL["pooled"]
"""Of a keyword spotter: 1.28 s; ten words, unknown and silence."""
USUAL_FRAMES, USUAL_OUTPUTS = (
    f"{word}, of a network with an answer at every frame {sentence}"
    for word, sentence in zip(USUAL["pooled"], USUAL["framewise"], strict=True)
)
"""For texts of options, where the head decides."""
FRAMES_PER_S = 100
"""Frames of 10 ms, as MatchboxNet and QuartzNet have them."""
BATTERY_MWH = 650.0
"""Of a CR2032."""
MACHINES = f"Machine: {', '.join(accelerator_names())}, or a YAML file"
TECHNOLOGIES = f"Technology: {', '.join(technology_names())}, or a YAML file"
MOST_WORKERS = 256
ENVIRONMENT = "DSE_STORAGE"

MANY = 10**9
"""Of what is counted: more is a slip of the keyboard."""
FRAMES_RANGE = click.IntRange(1, MOST_FRAMES)
OUTPUTS_RANGE = click.IntRange(1, MOST_OUTPUTS)
SEED_RANGE = click.IntRange(0, 2**32 - 1)
"""As a study may say it."""


def split_names(names: str | None) -> list[str]:
    """Names that are separated by commas, each once; none where the option was left out.

    Raises:
        InvalidInput: the option was typed, and names nothing: it would be passed over in silence.
    """
    if names is None:
        return []
    found = list(dict.fromkeys(filter(None, (part.strip() for part in names.split(",")))))
    if not found:
        raise InvalidInput(f"{short(names)} names nothing: name something, or leave the option out")
    return found


class Lengths(click.ParamType):  # type: ignore[type-arg]  # click 8.1 takes none
    """Lengths of audio in seconds, separated by commas, each once: `10` or `1,5,30`."""

    name = "SECONDS"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """What a person typed."""
        if isinstance(value, tuple):
            return value
        number = Number(1 / FRAMES_PER_S, MOST_FRAMES / FRAMES_PER_S)
        found = [number.convert(part, param, ctx) for part in split_names(str(value))]
        return tuple(dict.fromkeys(found))


class Number(click.FloatRange):
    """A finite number: Python reads `nan` and `inf`, and no comparison with NaN is true.

    Without limits here, those of what the number is for are told: help then shows none.
    """

    def _describe_range(self) -> str:
        """`0<x<=1` for help; a limit that there is not would read `x<=None`."""
        return "" if self.min is None and self.max is None else super()._describe_range()

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """What a person typed, within the range."""
        found: float = super().convert(value, param, ctx)
        if not math.isfinite(found):
            self.fail(f"{found} is no finite number", param, ctx)
        return found


class Workers(click.ParamType):  # type: ignore[type-arg]  # click 8.1 takes none
    """A number of workers, or `auto`, which is None: what the study or the machine says."""

    name = "N|auto"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | None:
        """What a person typed, as a number; `auto` is None, as is an option that was left out."""
        if value == "auto":
            return None
        if not value.isdecimal() or not 1 <= int(value) <= MOST_WORKERS:
            self.fail(f"{value!r} is not auto or a number from 1 to {MOST_WORKERS}", param, ctx)
        return int(value)


FILE_ENDING = re.compile(
    r"\.(c|csv|db|docx|gz|h|html?|ipynb|jpe?g|jsonl?|lib|md|od[st]|onnx|parquet|pdf|png|pptx?|pt|py"
    r"|sqlite|svg?|tar|tex|txt|v|wav|xlsx?|xml|ya?ml|zip)",
    re.IGNORECASE,
)
"""What ends the names of files: a folder that is called so was meant as a file."""


class Folder(click.Path):
    """A folder to write into, which need not exist; a name that is a file's is refused.

    `--out frontier.csv` would otherwise make a folder of that name.
    """

    name = "folder"

    def __init__(self) -> None:
        super().__init__(path_type=Path, file_okay=False)

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:
        """The path of what a person typed."""
        try:
            check_folder_name(Path(value))
        except InvalidInput as error:
            self.fail(str(error), param, ctx)
        return super().convert(value, param, ctx)


def check_folder_name(path: Path) -> None:
    """Raise `InvalidInput` where a folder that is to be made is called like a file."""
    if FILE_ENDING.fullmatch(path.suffix) and not path.is_dir():
        raise InvalidInput(
            f"{str(path)!r} is called like a file, and a folder is wanted: leave out "
            f"{path.suffix!r}"
        )


study_out_option = click.option(
    "--out",
    type=Folder(),
    help="Folder of the study.  [default: studies/NAME]",
)
moved_data_option = click.option(
    "--data", type=click.Path(path_type=Path), help="Folder of spoken words, if it has moved."
)
cache_option = click.option(
    "--cache",
    type=click.Path(path_type=Path),
    help="Folder of the feature cache.  [default: the user's cache folder]",
)
threads_option = click.option(
    "--threads",
    type=click.IntRange(1, 256),  # torch dies of some ten thousand
    help="CPU threads.  [default: all cores]",
)
mapping_objective_option = click.option(
    "--objective",
    type=click.Choice(get_args(Objective)),
    default="edp",
    show_default=True,
    help="What the mapping of each layer minimises.",
)
battery_option = click.option(
    "--battery-mwh",
    default=BATTERY_MWH,
    show_default=True,
    type=Number(1e-9, 1e12),
    help="Battery for the days that it lasts: a CR2032.",
)
folder_out_option = click.option(
    "--out",
    required=True,
    type=Folder(),
    help="Folder to write into; files of the same name are replaced.",
)


def file_out_option(help_text: str) -> Callable[[FC], FC]:
    """`--out FILE`, which must be given."""
    return click.option(
        "--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help=help_text
    )


def rate_option(help_text: str) -> Callable[[FC], FC]:
    """`--rate`, as a study may say it; what it is by default differs from command to command."""
    return click.option("--rate", type=Number(1e-9, 1e9), help=help_text)


storage_option = click.option(
    "--storage",
    metavar="URL",
    envvar=ENVIRONMENT,
    help="Database for the trials, in place of the folder's study.db: postgresql://USER@HOST/"
    f"DATABASE, mysql://... or sqlite:///FILE; also read from ${ENVIRONMENT}, which hides its "
    "password from other users.",
)
engine_option = click.option(
    "--engine",
    type=click.Choice(["processes", "ray"]),
    default="processes",
    show_default=True,
    help="Who works: processes of this machine, or a Ray cluster.",
)
ray_address_option = click.option(
    "--ray-address",
    metavar="A",
    help="Of the Ray cluster.  [default: $RAY_ADDRESS, or one on this machine, which listens on "
    "its loopback interface alone]",
)
