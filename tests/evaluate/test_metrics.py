import numpy as np
import pytest

from medcolor.evaluate.metrics import ColorError, error_table


def everywhere(grid):
    return np.ones(grid, bool)


@pytest.mark.parametrize(
    ("found", "expected", "difference"),
    [
        # Sharma, Wu and Dalal 2005, table 1, pairs 1, 7 and 25.
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 0, 0), (50, -1, 2), 2.3669),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ],
)
def test_ciede2000_is_the_published_one(found, expected, difference):
    error = ColorError()
    error.add(np.array([found], float), np.array([expected], float), everywhere(1))
    assert error.ciede2000 == pytest.approx(difference, abs=1e-4)


def test_chroma_ignores_lightness():
    error = ColorError()
    error.add(
        np.array([[10.0, 3, 4], [20, 0, 0]]), np.array([[90.0, 0, 0], [0, 0, 0]]), everywhere(2)
    )
    assert error.chroma == pytest.approx(2.5)


def test_slices_add_up_to_the_volume_and_outside_does_not_count():
    random = np.random.default_rng(0)
    found, truth = random.uniform(-40, 90, (2, 4, 6, 5, 3))
    where = random.random((4, 6, 5)) < 0.6
    whole, parts, inside = ColorError(), ColorError(), ColorError()
    whole.add(found, truth, where)
    for z in range(4):
        parts.add(found[z], truth[z], where[z])
    inside.add(np.where(where[..., None], found, 0), truth, where)
    assert parts.pixels == where.sum()
    assert parts.ciede2000 == pytest.approx(whole.ciede2000)
    assert parts.chroma == pytest.approx(whole.chroma)
    assert inside.chroma == pytest.approx(whole.chroma)


def test_the_table_names_every_method():
    table = error_table(
        "Title", {"grey": ColorError(1, 20.0, 10.0), "ours": ColorError(2, 3.0, 1.0)}
    )
    assert table.splitlines()[0] == "Title"
    assert "20.00    10.00" in table
    assert "1.50     0.50" in table
