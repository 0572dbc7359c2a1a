from medcolor.retrieval.record import Source
from medcolor.run.plan import SlabTask


def test_batches_hold_neighbours_that_share_their_references():
    one, two = ((Source(name, name, 1.0),) for name in "ab")
    task = SlabTask(0, 0, 10, 17, (one, one, one, two, two, one, one))
    assert task.batches(2) == [
        (range(10, 12), one),
        (range(12, 13), one),
        (range(13, 15), two),
        (range(15, 17), one),
    ]
    assert task.batches(1) == [
        (range(z, z + 1), sources) for z, sources in zip(task.slices, task.references, strict=True)
    ]
