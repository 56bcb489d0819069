"""What a server does before anybody asks, so that the first page is there at once.

Modules are loaded and the newest studies read in the background; and a browser is told with the
first answer which parts of Streamlit's page it will need, or it would ask for one after another.
"""

import contextlib
import importlib
import logging
import re
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from dashboard.settings import Settings, read_settings

PARTS = (
    "ArrowVegaLiteChart",
    "ButtonGroup",
    "Checkbox",
    "DataFrame",
    "DownloadButton",
    "Metric",
    "Multiselect",
    "NumberInput",
    "Selectbox",
    "TextInput",
)
"""Parts of Streamlit's page that most of our pages have, by the names of its files."""
_IMPORT = re.compile(r"""(?:from|import)\s*["']\./([\w.$-]+\.js)["']""")
MODULES = ("frontier", "what_if")
"""Views that load all others need."""
MOST_STUDIES = 4
MOST_BYTES = 400_000_000  # of rows that are read before they are asked for


def preloads(static: Path, parts: tuple[str, ...] = PARTS) -> str:
    """The `Link` header that names the parts and what they import; empty where there are none.

    Args:
        static: folder of Streamlit's page; its files have hashes in their names.
        parts: names without the hash.
    """
    folder = static / "static" / "js"
    todo = [path.name for part in parts for path in folder.glob(f"{part}.*.js")]
    found: dict[str, None] = {}
    while todo:
        name = todo.pop()
        if name in found:
            continue
        try:
            text = (folder / name).read_text(encoding="utf-8")
        except OSError:  # a browser that asks for what is not there complains
            continue
        found[name] = None
        todo += _IMPORT.findall(text)
    return ", ".join(f"</static/js/{name}>; rel=modulepreload" for name in sorted(found))


def warm_up(settings: Settings) -> None:
    """Load what pages need, and read the newest studies; what fails will be said on its page."""
    from dashboard.charts import sample_of
    from dashboard.frontier_chart import frontier_chart
    from dashboard.studies import find_studies, read_study
    from dse.columns import first_cost
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
            cost = first_cost(study.asked.objectives)
            if study.trained.any():
                frontier_chart(sample_of(study.scaled), cost, "error", limits=study.asked.limits)
        except Exception as error:  # whatever it is, a page says it better
            logging.getLogger(__name__).info("%s was not read beforehand: %s", label, error)


@contextlib.asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[dict[str, Any]]:
    """Begin to warm up when the server starts."""
    threading.Thread(target=warm_up, args=(read_settings(),), daemon=True).start()
    yield {}
