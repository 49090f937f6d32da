"""Tests on Pis in containers."""

import pytest

# Its helpers assert too, and shall show what they compared.
pytest.register_assert_rewrite("tests.containers.cluster")
