import pytest
import torch

from medcolor.matching.lbfgs import minimize_lbfgs


def quadratics(problems, size, seed=0):
    """Positive definite problems of very different scale, in double precision."""
    source = torch.Generator().manual_seed(seed)
    factor = torch.randn(problems, size, size, generator=source, dtype=torch.float64)
    scale = torch.logspace(-3, 3, problems, dtype=torch.float64)[:, None, None]
    matrix = scale * (factor @ factor.mT / size + 0.1 * torch.eye(size, dtype=torch.float64))
    return matrix, torch.randn(problems, size, generator=source, dtype=torch.float64)


def objective(matrix, lowest):
    def evaluate(point):
        force = torch.einsum("pij,pj->pi", matrix, point - lowest)
        return 0.5 * ((point - lowest) * force).sum(1), force

    return evaluate


def test_every_problem_of_a_batch_reaches_its_minimum_and_never_rises():
    matrix, lowest = quadratics(4, 12)
    start = torch.zeros(4, 12, dtype=torch.float64)

    found, course = minimize_lbfgs(objective(matrix, lowest), start, 150)

    torch.testing.assert_close(found, lowest, atol=1e-5, rtol=0)
    assert bool((course.diff(dim=0) <= 0).all())


def test_a_problem_does_not_depend_on_its_neighbours():
    matrix, lowest = quadratics(3, 8)
    start = torch.ones(3, 8, dtype=torch.float64)

    together, _ = minimize_lbfgs(objective(matrix, lowest), start, 20)

    for number in range(3):
        part = slice(number, number + 1)
        alone, _ = minimize_lbfgs(objective(matrix[part], lowest[part]), start[part], 20)
        torch.testing.assert_close(together[part], alone)


def test_a_banana_valley_is_followed():
    def rosenbrock(point):
        with torch.enable_grad():
            free = point.detach().requires_grad_(True)
            value = (1 - free[:, 0]) ** 2 + 100 * (free[:, 1] - free[:, 0] ** 2) ** 2
            (gradient,) = torch.autograd.grad(value.sum(), free)
        return value.detach(), gradient

    start = torch.tensor([[-1.2, 1.0], [0.0, 0.0]], dtype=torch.float64)
    found, _ = minimize_lbfgs(rosenbrock, start, 200)
    torch.testing.assert_close(found, torch.ones_like(found), atol=1e-4, rtol=0)


def test_at_the_minimum_nothing_moves_and_nothing_is_nan():
    matrix, lowest = quadratics(2, 5)
    found, course = minimize_lbfgs(objective(matrix, lowest), lowest, 5)
    assert torch.equal(found, lowest)
    assert torch.equal(course, torch.zeros_like(course))


def test_what_rounding_hides_does_not_stop_a_problem():
    """Where a large part of the objective cannot be lowered, what can is less than its rounding."""
    matrix, lowest = quadratics(3, 30)
    exact, floor = objective(matrix, lowest), torch.tensor([1e-1, 1e2, 1e5])

    def coarse(point):
        value, force = exact(point)
        return (value + floor).bfloat16().double(), force

    start = torch.zeros(3, 30, dtype=torch.float64)
    reached = {}
    for tolerance in (0.0, 2.0**-9):
        found, course = minimize_lbfgs(coarse, start, 60, tolerance)
        least = course.cummin(dim=0).values
        assert bool((course <= least * (1 + tolerance)).all())
        reached[tolerance] = exact(found)[0] / exact(start)[0]
    assert bool((reached[2.0**-9] < 0.2 * reached[0.0]).all())


def test_an_unbounded_step_back_never_rises_where_curvature_is_negative():
    """The second place of a cosine bends down: such pairs are left out."""

    def waves(point):
        return torch.cos(point).sum(1), -torch.sin(point)

    start = torch.tensor([[0.1, 0.3], [3.0, -0.2]], dtype=torch.float64)
    found, course = minimize_lbfgs(waves, start, 60)
    assert bool((course.diff(dim=0) <= 0).all())
    torch.testing.assert_close(course[-1], torch.full((2,), -2.0, dtype=torch.float64))
    torch.testing.assert_close(torch.cos(found), -torch.ones_like(found), atol=1e-6, rtol=0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="compiled here; see jobs/check_gpu.py")
def test_a_gpu_takes_the_same_way(monkeypatch):
    """Its kernels, interpreted, over vectors longer than what one program reads."""
    pytest.importorskip("triton")
    from medcolor.matching import lbfgs, lbfgs_triton

    monkeypatch.setattr(lbfgs_triton, "_PARTS", 2)
    source = torch.Generator().manual_seed(2)
    scale = torch.logspace(-1, 1, 700)
    lowest = torch.randn(2, 700, generator=source)

    def bowl(point):
        force = scale * (point - lowest)
        return 0.5 * ((point - lowest) * force).sum(1), force

    start = torch.zeros(2, 700)
    expected, course = minimize_lbfgs(bowl, start, 12)
    monkeypatch.setattr(lbfgs, "Vectors", lbfgs_triton.VectorsOnGpu)
    found, same = minimize_lbfgs(bowl, start, 12)
    torch.testing.assert_close(same, course, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-3)
