"""Networks in turns; tests of the engines have the warm-up."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

from transcriber.engines.pool import Pool


def test_the_network_that_has_been_idle_for_longest_is_lent() -> None:
    pool = Pool(["a", "b"])
    with pool.lent() as first, pool.lent() as second:
        pass
    with pool.lent() as third:
        pass

    assert [first, second, third] == ["a", "b", "b"]


def test_who_finds_none_idle_waits_for_one() -> None:
    pool, asked = Pool(["only"]), Event()

    def borrow() -> str:
        asked.set()
        with pool.lent() as network:
            return network

    with ThreadPoolExecutor(1) as other:
        with pool.lent():
            waiting = other.submit(borrow)
            assert asked.wait(60)
            assert not waiting.done()
        assert waiting.result(60) == "only"


def test_a_network_comes_back_from_a_batch_that_failed() -> None:
    pool = Pool(["only"])
    try:
        with pool.lent():
            raise ValueError
    except ValueError:
        pass
    with pool.lent() as again:
        assert again == "only"
