"""What tests of commands share with those of the run that answers them."""

from tests.inference.conftest import foreign

__all__ = ["foreign"]
