"""A few power cuts under a real kernel. `python -m tests.crash.ext4 cut` makes more."""

import random

from tests.crash.ext4 import lost

SEED = 20261124


def test_power_cut_under_a_real_kernel_loses_no_sale() -> None:
    assert list(lost(5, random.Random(SEED))) == [""] * 5


def test_synchronous_normal_loses_sales_under_a_real_kernel() -> None:
    assert any(lost(3, random.Random(SEED), synchronous=1))
