"""`python -m search.cli` is `dse`."""

from search.cli import main

main()
