"""Every substrate that runs in this process passes the shipped contract; `test_lava` has the one that does not."""

import pytest

from bl_neuro.testing.backend_contract import BackendContract


@pytest.mark.snntorch
class TestSnnTorch(BackendContract):
    substrate = "snntorch"


@pytest.mark.norse
class TestNorse(BackendContract):
    substrate = "norse"


class TestLoihi(BackendContract):
    substrate = "loihi"


@pytest.mark.slayer
class TestSlayer(BackendContract):
    substrate = "slayer"
