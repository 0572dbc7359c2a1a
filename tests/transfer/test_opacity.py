import numpy as np
import pytest

from medcolor.transfer.opacity import opacity
from medcolor.transfer.settings import OpacitySettings

RAMP = np.tile(np.linspace(0, 1, 41, dtype=np.float32), (9, 1))
BODY = np.ones_like(RAMP, bool)


def test_the_papers_alpha_is_the_luminance_inside_the_body():
    body = BODY.copy()
    body[:, :10] = False
    np.testing.assert_array_equal(opacity(RAMP, body, OpacitySettings()), np.where(body, RAMP, 0))


def test_a_window_hides_what_is_darker_and_shows_what_is_brighter():
    alpha = opacity(RAMP, BODY, OpacitySettings(base="body", window=(0.25, 0.75)))
    assert not alpha[:, :11].any()
    assert (alpha[:, 30:] == 1).all()
    assert alpha[0, 20] == pytest.approx(0.5)
    assert (np.diff(alpha[0]) >= 0).all()


def test_gradient_opacity_shows_borders_alone():
    step = np.zeros((9, 20), np.float32) + 0.2
    step[:, 10:] = 0.8
    alpha = opacity(step, np.ones_like(step, bool), OpacitySettings(base="body", gradient=1.0))
    assert alpha[4, 9] == alpha[4, 10] == 1
    assert not alpha[:, :8].any()
    half = opacity(step, np.ones_like(step, bool), OpacitySettings(gradient=0.5))
    np.testing.assert_allclose(half[4, 2], 0.1)


@pytest.mark.parametrize("wrong", [{"window": (0.6, 0.4)}, {"gradient": 2.0}])
def test_settings_without_meaning_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        OpacitySettings(**wrong)
