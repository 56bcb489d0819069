"""What a server does before anybody asks, so that the first page is there at once.

Modules are loaded and the newest studies read in the background.
"""

import contextlib
import importlib
import logging
import threading
from collections.abc import AsyncIterator
from typing import Any

from dashboard.settings import Settings, read_settings

MODULES = ("frontier", "what_if")
"""Views that load all others need."""
MOST_STUDIES = 4
MOST_BYTES = 400_000_000  # of rows that are read before they are asked for


def warm_up(settings: Settings) -> None:
    """Load what pages need, and read the newest studies; what fails will be said on its page.

    What stays of it are loaded modules and the parsed rows (`dashboard.studies` keeps them for the
    process); the study itself is built again for the page, whose cache is Streamlit's.
    """
    from dashboard.frontier_chart import frontier_chart
    from dashboard.studies import find_studies, read_study
    from dse.studies.rows import FILE_NAME

    for name in MODULES:
        importlib.import_module(f"dashboard.views.{name}")
    sized = []
    for label, folder in find_studies(settings.folders).items():
        with contextlib.suppress(OSError):
            stat = (folder / FILE_NAME).stat()
            sized.append((stat.st_mtime, stat.st_size, label, folder))
    left = MOST_BYTES
    for _, size, label, folder in sorted(sized, reverse=True)[:MOST_STUDIES]:
        left -= size
        if left < 0:
            break
        try:
            study = read_study(label, folder)
            cost = study.of.cost_objective
            if study.trained.any():
                frontier_chart(study.scaled, cost, "error", limits=study.asked.limits)
        except Exception as error:  # whatever it is, a page says it better
            logging.getLogger(__name__).info("%s was not read beforehand: %s", label, error)


@contextlib.asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[dict[str, Any]]:
    """Begin to warm up when the server starts, in a thread that the server's end does not await."""
    threading.Thread(target=warm_up, args=(read_settings(),), daemon=True).start()
    yield {}
