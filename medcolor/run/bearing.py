"""How the photographs of a run lie: what is said of it, and what the slices say.

What a record of their preparation or the settings say is knowledge, which no vote overrules; where
slices contradict it, or look like none of the photographs, the user is warned.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace

import numpy as np

from medcolor.errors import InputError
from medcolor.reference.orientation import VIEW, combined
from medcolor.reference.settings import ReferenceSettings
from medcolor.retrieval.index import ReferenceIndex
from medcolor.retrieval.orientation import Describe, Turn, find_turn
from medcolor.retrieval.record import KnownBy

_log = logging.getLogger(__name__)


def find_known_turn(
    describe: Describe,
    depth: int,
    slice_step_mm: float,
    index: ReferenceIndex,
    settings: ReferenceSettings,
) -> tuple[Turn, str, KnownBy]:
    """Find how photographs lie, once read as they are said to lie.

    Args:
        describe: Of the stack.
        depth: Its slices.
        slice_step_mm: From one to the next, > 0.
        index: Of the photographs.
        settings: How they are said to lie, or that it is to be found.

    Returns:
        Their turn; how they are said to lie or presumed to, as `reference.orientation` would say
        it; and who says so.

    Raises:
        InputError: If how some lie is recorded, and others do not lie as is presumed.
    """
    recorded = [one.orientation for one in index.records if one.orientation is not None]
    is_open = np.array([one.orientation is None for one in index.records])
    said = settings.presumed_orientation
    if settings.orientation != "auto":
        is_open[:] = False
    if is_open.all():
        turn = find_turn(describe, depth, slice_step_mm, index.descriptors)
        _warn_of_other_part(turn)
        _warn_of_mirror_image(turn, said)
        return turn, said, "slices"
    shown = index.descriptors[is_open] if is_open.any() else index.descriptors
    found = find_turn(describe, depth, slice_step_mm, shown)
    if is_open.any():
        _refuse_two_ways(found, said, recorded, int(is_open.sum()))
    known_by: KnownBy = "settings"
    if recorded:
        known_by, said = "record", Counter(recorded).most_common(1)[0][0]
    turn = replace(found, code=VIEW)
    if not _warn_of_contradiction(found, said, known_by):
        _warn_of_other_part(turn)
    return turn, said, known_by


def _warn_of_other_part(turn: Turn) -> None:
    if turn.likeness is None or turn.is_told:
        return
    here = turn.likeness.by_code[turn.pair]
    _log.warning(
        "photographs: they may show another part of the body: slices are %.2f like them (cosine), "
        "and %.2f with the photographs turned; of the same part it is less by 0.1 and more. "
        "If it is the same, look at how they lie: reference.orientation",
        here,
        here - turn.likeness.lead(turn.pair),
    )


def _warn_of_mirror_image(turn: Turn, presumed: str) -> None:
    if turn.code == turn.pair:
        return
    of, mirror_image = turn.sides.votes
    _log.warning(
        "photographs: taken for mirror images of what is presumed, as %d of %d lopsided stretches "
        "of the body are. If they are not: --set reference.orientation=%s",
        mirror_image,
        of + mirror_image,
        combined(presumed[:2], turn.pair) + presumed[2],
    )


def _warn_of_contradiction(found: Turn, said: str, known_by: KnownBy) -> bool:
    """Warn if the slices clearly say otherwise than what is known; return whether they do."""
    if found.code == VIEW or not found.is_told:
        return False
    source = {"record": "recorded", "settings": "set (reference.orientation)"}.get(known_by)
    remedy = {
        "record": "prepare the raw frames anew with the right reference.orientation",
        "settings": "set it right",
    }.get(known_by)
    looks = combined(said[:2], found.code) + said[2]
    _log.warning(
        "photographs: they lie as %s, %s, and are read so; the slices look as if it were %s, "
        "or as if they were of another part of the body. If it is %s, %s",
        source,
        said,
        looks,
        looks,
        remedy,
    )
    return True


def warn_of_course(said: str) -> None:
    """Warn that slices look as if they ran against what is known of scan and photographs."""
    _log.warning(
        "photographs: the slices look as if numbers ran the other way than is known (%s), and are "
        "placed as is known. If they do: --set retrieval.direction=reversed",
        said,
    )


def _refuse_two_ways(found: Turn, presumed: str, recorded: list[str], others: int) -> None:
    """Refuse photographs of which a turn that was found would be that of some alone."""
    if found.code == VIEW or not found.is_told:
        return
    looks = combined(presumed[:2], found.code) + presumed[2]
    raise InputError(
        "photographs",
        f"{len(recorded)} lie as recorded ({recorded[0]}), {others} others look like {looks}",
        f"Say how the others lie: --set reference.orientation={looks}",
    )
