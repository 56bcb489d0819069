"""How fast designs are priced: `pricing_speed.py` beside this file does.

This one has the name of a package. Of a script that is run by its path Python looks into this
folder first, so that whatever the script imports would get this file for the package: it steps
aside, whichever module asks first.
"""

import importlib
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.append(str(Path(__file__).parent))  # with `-m` it is not there
    importlib.import_module("pricing_speed").main()
elif __name__ == "cost_models":
    del sys.modules[__name__]
    here, ways = Path(__file__).resolve().parent, list(sys.path)
    sys.path[:] = [way for way in ways if Path(way or ".").resolve() != here]
    importlib.import_module(__name__)
    sys.path[:] = ways
