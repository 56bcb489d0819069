"""What must be done before any test of this folder multiplies matrices."""

import pytest


@pytest.fixture(autouse=True, scope="session")
def prepared_processor() -> None:
    """Tests that use torch alone may come before the first of ours, which would be too late."""
    from dse.processor import prepare

    prepare()
