from medcolor.retrieval.record import Source
from medcolor.run.plan import SlabTask


def test_batches_hold_neighbours_that_share_their_references():
    near, far, other = (
        (Source(name, name, weight),) for name, weight in (("a", 1.0), ("a", 0.5), ("b", 1.0))
    )
    each = near, far, near, other, other, far, near
    task = SlabTask("match", 0, 0, 10, 17, each)
    assert task.batches(2) == [
        (range(10, 12), [near, far]),
        (range(12, 13), [near]),
        (range(13, 15), [other, other]),
        (range(15, 17), [far, near]),
    ]
    assert task.batches(1) == [
        (range(z, z + 1), [sources]) for z, sources in zip(task.slices, each, strict=True)
    ]
