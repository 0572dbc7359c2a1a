"""Which slab a free worker takes next."""

from hypothesis import given
from hypothesis import strategies as st

from medcolor.run.placement import Placement


@given(st.integers(0, 40), st.integers(1, 6), st.data())
def test_every_task_is_handed_out_once_whoever_asks(tasks, workers, data):
    placement = Placement(tasks, workers)
    taken = []
    while placement:
        worker = data.draw(st.integers(0, workers - 1))
        number = placement.take(worker)
        assert number is not None
        taken.append(number)
    assert sorted(taken) == list(range(tasks))
    assert all(placement.take(worker) is None for worker in range(workers))


@given(st.integers(1, 200), st.integers(1, 8))
def test_workers_of_one_speed_keep_to_neighbours(tasks, workers):
    placement = Placement(tasks, workers)
    last, jumps = {}, 0
    while placement:
        for worker in range(workers):
            number = placement.take(worker)
            if number is not None:
                jumps += worker in last and number != last[worker] + 1
                last[worker] = number
    assert jumps <= workers


@given(st.integers(0, 40), st.integers(1, 6), st.data())
def test_what_is_foretold_comes_unless_another_takes_it(tasks, workers, data):
    placement, foretold, taken = Placement(tasks, workers), {}, set()
    while placement:
        worker = data.draw(st.integers(0, workers - 1))
        number, said = placement.take(worker), foretold.get(worker)
        assert said is None or number == said or said in taken
        taken.add(number)
        foretold[worker] = placement.peek(worker)
        assert foretold[worker] not in taken


def test_nobody_waits_for_a_slow_one():
    placement = Placement(100, 2)
    first = placement.take(0)
    others = [placement.take(1) for _ in range(99)]
    assert sorted([first, *others]) == list(range(100))


def test_what_failed_is_tried_last_and_by_another():
    placement = Placement(3, 2)
    failed = placement.take(0)
    placement.put_back(failed, 0)
    assert [placement.take(1) for _ in range(2)] == [1, 2]
    placement.put_back(1, 1)
    assert placement.take(0) == 1
    assert placement.take(0) is None, "another may have it"
    assert placement.take(0, is_alone=True) == failed
    assert placement.take(1) is None


def test_one_bad_worker_cannot_give_up_what_others_could_do():
    placement, failures = Placement(64, 8), {}
    for _ in range(500):  # it fails everything at once, while the others are at their first slab
        number = placement.take(0)
        if number is None:
            break
        failures[number] = failures.get(number, 0) + 1
        placement.put_back(number, 0)
    assert set(failures.values()) == {1}
    assert sorted(placement.take(1) for _ in range(64)) == list(range(64))
