"""The kernel's threads: the same bits by any number of them, from several callers, after a fork."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

from propd import kernels
from propd.models.blocked import Blocked

pytestmark = pytest.mark.skipif(not kernels.ready(), reason=kernels.why_not() or "")


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def _product() -> tuple[Blocked, Tensor]:
    torch.manual_seed(0)
    return Blocked.of(torch.randn(1024, 64)), torch.randn(20, 64)


def test_any_number_of_threads_makes_the_same_bits() -> None:
    product, x = _product()
    torch.set_num_threads(1)
    alone = product(x)
    for count in (2, 3, 5):
        torch.set_num_threads(count)
        for _ in range(200):
            assert torch.equal(product(x), alone)


def test_callers_do_not_disturb_each_other() -> None:
    product, x = _product()
    wanted = [product(x * scale) for scale in range(4)]

    def ask(scale: int) -> bool:
        torch.set_num_threads(2)
        return all(torch.equal(product(x * scale), wanted[scale]) for _ in range(300))

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(4))) == [True] * 4


def test_a_forked_process_can_go_on() -> None:
    product, x = _product()
    torch.set_num_threads(2)
    wanted = product(x)  # threads are there now, and do not come along
    child = os.fork()
    if child == 0:
        os._exit(0 if torch.equal(product(x), wanted) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_while_it_works_alone_pytorch_has_one_thread() -> None:
    product, x = _product()
    torch.set_num_threads(2)
    wanted = product(x)
    with pytest.raises(ZeroDivisionError), kernels.alone():
        assert torch.get_num_threads() == 1
        assert torch.equal(product(x), wanted)
        raise ZeroDivisionError
    assert torch.get_num_threads() == 2
