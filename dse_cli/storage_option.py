"""Options that all commands share that work on a storage."""

from collections.abc import Callable
from typing import Any

import click

ENVIRONMENT = "DSE_STORAGE"

ARTIFACTS_HELP = (
    "Where the files of trained designs are kept for all machines: a shared folder, or a URL such "
    "as s3://BUCKET/PREFIX.  [default: the study's folder]"
)


def storage_option(required: bool = False) -> Callable[[Any], Any]:
    """`--storage`; better in the environment, where other users cannot read a password."""
    return click.option(
        "--storage",
        metavar="URL",
        envvar=ENVIRONMENT,
        required=required,
        help="Storage that many machines share: postgresql://USER@HOST/DATABASE, mysql://..., "
        f"sqlite:///FILE, journal:///FILE or grpc://HOST:PORT; also read from ${ENVIRONMENT}, "
        "which hides its password from other users.",
    )
