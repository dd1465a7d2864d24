from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fleet.emulator.backlog import Backlog, Order


def order(name: str, *, at_s: float = 0, ttl_s: float = 60) -> Order:
    return Order(inference_id=name, received_s=at_s, ttl_s=ttl_s, timeout_s=1, output_location="s3://b/k")


def test_first_come_is_first_served() -> None:
    backlog = Backlog()
    for name in "abc":
        backlog.add(order(name))

    taken = [backlog.take(now_s=0) for _ in range(4)]

    assert [one and one.inference_id for one in taken] == ["a", "b", "c", None]


def test_backlog_counts_what_is_being_worked_on() -> None:
    backlog = Backlog()
    backlog.add(order("a"))
    backlog.add(order("b"))
    backlog.take(now_s=0)

    assert (backlog.waiting, backlog.size) == (1, 2)
    backlog.done()
    assert (backlog.waiting, backlog.size) == (1, 1)


def test_order_that_waited_too_long_is_given_up_and_not_taken() -> None:
    backlog = Backlog()
    backlog.add(order("late", ttl_s=60))
    backlog.add(order("patient", ttl_s=600))

    assert backlog.oldest_s(now_s=61) == 61
    assert [one.inference_id for one in [backlog.take(now_s=61)] if one] == ["patient"]
    assert [one.inference_id for one in backlog.expire(now_s=61)] == ["late"]
    assert backlog.waiting == 0


@given(st.lists(st.tuples(st.sampled_from(["add", "take", "done", "expire", "wait"]), st.integers(1, 100))))
def test_every_order_is_taken_or_expires_exactly_once(steps: list[tuple[str, int]]) -> None:
    backlog, now_s, in_work = Backlog(), 0.0, 0
    added: list[str] = []
    gone: list[str] = []
    for step, number in steps:
        if step == "add":
            added.append(str(len(added)))
            backlog.add(order(added[-1], at_s=now_s, ttl_s=number))
        elif step == "take" and (taken := backlog.take(now_s=now_s)):
            assert now_s - taken.received_s <= taken.ttl_s
            gone.append(taken.inference_id)
            in_work += 1
        elif step == "done" and in_work:
            backlog.done()
            in_work -= 1
        elif step == "expire":
            gone += [one.inference_id for one in backlog.expire(now_s=now_s)]
        elif step == "wait":
            now_s += number

        assert backlog.size == len(added) - len(gone) + in_work
        assert len(set(gone)) == len(gone)
