"""`medcolor evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medcolor.cli_progress import progress
from medcolor.cli_settings import Config, Set, chosen_settings
from medcolor.cli_tell import tell
from medcolor.errors import InputError

evaluate_app = typer.Typer(no_args_is_help=True, help="Quality where the truth is known.")


@evaluate_app.command("color")
def evaluate_color(
    references: Annotated[
        Path | None,
        typer.Argument(help="Cryosections to recolour from each other; without, phantoms."),
    ] = None,
    distance_mm: Annotated[
        float, typer.Option(help="References nearer than this to a slice are not used for it.")
    ] = 7.0,
    every: Annotated[int, typer.Option(min=1, help="Take every n-th photograph only.")] = 1,
    by_position: Annotated[
        bool, typer.Option(help="Take the nearest photograph that is far enough, not by fc6.")
    ] = False,
    disguise: Annotated[
        bool, typer.Option(help="Bend the photographs and give them a T1-like contrast first.")
    ] = False,
    distilled: Annotated[
        Path | None,
        typer.Option(help="Match with distilled-vgg19-16x.pth, for comparison; by position."),
    ] = None,
    case: Annotated[
        list[str] | None,
        typer.Option(help="Phantom case: head-ct, head-t1, head-t2, trunk-ct. Repeatable."),
    ] = None,
    scanner: Annotated[
        str, typer.Option(help="Of phantoms: clinical (noise, partial volume) or plain.")
    ] = "clinical",
    output: Annotated[
        Path | None, typer.Option(help="Folder for figures and sample pictures.")
    ] = None,
    config: Config = None,
    overrides: Set = None,
) -> None:
    """Measure colour errors: recoloured photographs, and phantom CT, T1 and T2 across persons."""
    from medcolor.evaluate.across import choose_cases, evaluate_across
    from medcolor.evaluate.features.rivals import DistilledVGG19
    from medcolor.evaluate.recolor import evaluate_recolored
    from medcolor.phantom.files import scanner_of

    chosen = chosen_settings(config, overrides)
    with progress() as told:
        if references is None:
            cases = choose_cases(case or [], scanner_of(scanner))
            table = evaluate_across(cases, chosen, told, pictures=output)
        else:
            table = evaluate_recolored(
                references,
                chosen,
                told,
                distance_mm=distance_mm,
                every=every,
                by_position=by_position or distilled is not None,
                taps=None if distilled is None else DistilledVGG19(distilled),
                disguise=disguise,
                pictures=output,
            )
    tell(table)


@evaluate_app.command("truth")
def evaluate_truth(
    scan: Annotated[Path, typer.Argument(help="CT of the body that was photographed.")],
    places: Annotated[
        Path, typer.Argument(help="npz: where pixels of photographs lie in the scan.")
    ],
    photographs: Annotated[Path, typer.Argument(help="Folder of the body's cryosections.")],
    volume: Annotated[
        Path | None, typer.Option(help="Measure this coloured volume, and colour none.")
    ] = None,
    level: Annotated[
        list[int] | None,
        typer.Option(help="Judge this level of PLACES. Repeatable; without, every n-th."),
    ] = None,
    every: Annotated[int, typer.Option(min=1, help="Judge every n-th level.")] = 4,
    first: Annotated[
        int, typer.Option(min=1, help="The first of them, counted from 1 at the head.")
    ] = 4,
    leave_out: Annotated[
        float,
        typer.Option(min=0, help="Photographs nearer than this (mm) to a judged one give nothing."),
    ] = 5.0,
    output: Annotated[
        Path | None, typer.Option(help="Folder for the coloured volume, figures and pictures.")
    ] = None,
    config: Config = None,
    overrides: Set = None,
) -> None:
    """Measure colours of a CT against photographs of the same body that gave it none."""
    from medcolor.evaluate.registered import Split
    from medcolor.evaluate.truth import evaluate_truth as evaluate

    split = Split(levels=tuple(level or ()), every=every, first=first, leave_out_mm=leave_out)
    chosen = chosen_settings(config, overrides)
    with progress() as told:
        table = evaluate(
            scan, places, photographs, chosen, told, split=split, volume=volume, output=output
        )
    tell(table)


@evaluate_app.command("structure")
def evaluate_structure(
    volume: Annotated[Path, typer.Argument(help="Volume written by colorize.")],
    scan: Annotated[Path, typer.Argument(help="The scan it was coloured from.")],
    config: Config = None,
    overrides: Set = None,
) -> None:
    """Measure how a coloured volume keeps its scan's structure and how its colours flicker."""
    from medcolor.evaluate.structure import evaluate_structure as evaluate

    chosen = chosen_settings(config, overrides)
    with progress() as told:
        words = evaluate(volume, scan, chosen, told)
    tell(words)


@evaluate_app.command("places")
def evaluate_places(
    scan: Annotated[
        Path | None, typer.Argument(help="A scan whose photographs are known; without, phantoms.")
    ] = None,
    photographs: Annotated[
        Path | None, typer.Argument(help="Cryosections, places in mm in their names.")
    ] = None,
    count: Annotated[
        int | None, typer.Option(min=1, help="Use that many photographs, evenly spread.")
    ] = None,
    part: Annotated[
        tuple[float, float],
        typer.Option(min=0, max=1, help="Of the stack: 0 is its first slice, 1 its last."),
    ] = (0.0, 1.0),
    config: Config = None,
    overrides: Set = None,
) -> None:
    """Measure whether slices find their place, also with names, order and frames spoilt."""
    from medcolor.evaluate import places

    if part[0] >= part[1]:
        raise InputError(f"--part {part[0]:g} {part[1]:g}", "ends before it begins", "Turn it over")
    chosen, extract = chosen_settings(config, overrides), places.Extract(count, part)
    with progress() as told:
        if scan is None:
            table = places.evaluate_phantom_places(chosen, told, extract)
        elif photographs is None:
            raise InputError("evaluate places", "a scan alone", "Name its photographs, too")
        else:
            table = places.evaluate_places(scan, photographs, chosen, told, extract)
    tell(table)


@evaluate_app.command("features")
def evaluate_features(
    photographs: Annotated[
        Path | None, typer.Option(help="Real cryosections, positions in mm in their names.")
    ] = None,
    mri: Annotated[Path | None, typer.Option(help="A real MRI of the same part.")] = None,
    ct: Annotated[Path | None, typer.Option(help="A real CT of the same part.")] = None,
    distilled: Annotated[
        Path | None, typer.Option(help="distilled-vgg19-16x.pth, to compare with.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of deformations, tones and phantoms.")] = 0,
    config: Config = None,
    overrides: Set = None,
) -> None:
    """Measure whether features and fc6 find what belongs together; phantoms need no files."""
    from medcolor.evaluate.features.report import FeatureEvaluation
    from medcolor.evaluate.features.report import evaluate_features as evaluate

    what = FeatureEvaluation(
        photographs=photographs, mri=mri, ct=ct, distilled=distilled, seed=seed
    )
    with progress() as told:
        report = evaluate(what, chosen_settings(config, overrides), told)
    tell(report)


@evaluate_app.command("phantom")
def evaluate_phantom(
    output: Annotated[Path, typer.Argument(help="Folder to write.")],
    seed: Annotated[int, typer.Option(help="Which person.")] = 1,
    region: Annotated[str, typer.Option(help="head, trunk or whole.")] = "head",
    spacing_mm: Annotated[int, typer.Option(min=1, help="Voxel size.")] = 2,
    scanner: Annotated[
        str, typer.Option(help="plain, or clinical: noise, partial volume, an uneven coil.")
    ] = "plain",
) -> None:
    """Write a procedural person: CT, T1 and T2 as NIfTI, cryosections as numbered photographs."""
    from medcolor.phantom.files import write_person

    tell(write_person(output, seed, region, float(spacing_mm), scanner))
