"""`python -m dse_cli` is `dse`."""

from dse_cli import main

main()
