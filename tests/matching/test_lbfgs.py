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
