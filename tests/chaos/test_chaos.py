"""Two of the schedules that `make chaos` plays; `make test-all` does."""

from __future__ import annotations

import pytest
from chaos.schedules import KINDS, Schedule, play, world

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900), pytest.mark.xdist_group("chaos")]
SEEDS = (4, 7)
"""Five events, few starts of a driver; one is killed as its clock is set."""


@pytest.fixture(scope="module")
def here():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        with world(outage_s=8.0) as made:
            yield made


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_a_run_that_loses_much_ends_with_the_bytes_of_an_undisturbed_one(here, seed):
    play(Schedule.of(seed), here)


def test_the_schedules_know_every_kind_and_are_no_matter_of_chance():
    drawn = [Schedule.of(seed) for seed in range(50)]
    assert drawn == [Schedule.of(seed) for seed in range(50)]
    assert {event.kind for one in drawn for event in one.events} == set(KINDS)
    assert len({one.events for one in drawn}) == 50
    played = {event.kind for seed in SEEDS for event in Schedule.of(seed).events}
    assert played == set(KINDS) - {"driver"}
    assert {Schedule.of(seed).in_bucket for seed in SEEDS} == {True, False}
