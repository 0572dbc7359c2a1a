"""The `medcolor` command: which data, which settings, where to. Every number lives in the settings.

Exit status: 0 complete; 1 finished with failed parts, or ended early, resumable;
2 wrong use or bad input.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from medcolor.cli_data import data_app
from medcolor.cli_evaluate import evaluate_app
from medcolor.cli_export import export
from medcolor.cli_fetch import fetch
from medcolor.cli_logs import log_to_standard_error
from medcolor.cli_progress import progress as progress_shown
from medcolor.cli_settings import Config, Set, chosen_settings
from medcolor.cli_tell import tell
from medcolor.cli_verify import verify
from medcolor.cli_view import view
from medcolor.errors import InputError, MedcolorError, of_system

if TYPE_CHECKING:
    from medcolor.config import RunSettings
    from medcolor.run.report import RunReport
    from medcolor.run.tasks import Runner

_NAMED = 10

app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    help="Colours for grey CT and MRI volumes, from photographs of real anatomy. "
    "Not a medical device.",
)
index_app = typer.Typer(no_args_is_help=True, help="Reference indexes.")
reference_app = typer.Typer(no_args_is_help=True, help="Photographs, before they are used.")
weights_app = typer.Typer(no_args_is_help=True, help="Networks: published ones and our own.")
app.command()(export)
app.command()(fetch)
app.command()(verify)
app.command()(view)
app.add_typer(data_app, name="data")
app.add_typer(index_app, name="index")
app.add_typer(reference_app, name="reference")
app.add_typer(weights_app, name="weights")
app.add_typer(evaluate_app, name="evaluate")

Ray = Annotated[
    str | None,
    typer.Option(
        "--ray", help="Work on Ray: HOST:PORT, or 'auto' (RAY_ADDRESS, else started here)."
    ),
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="Ray actors; by default one a GPU, else one a CPU."),
]
Plan = Annotated[bool, typer.Option("--plan", help="Tell what it will take, and do nothing.")]
Json = Annotated[bool, typer.Option("--json", help="Tell it as JSON.")]


@app.command()
def colorize(
    target: Annotated[str, typer.Argument(help="Scan: file, folder or address (s3://..).")],
    references: Annotated[
        str,
        typer.Argument(
            help="Colour cross-sections, an index of them, or a library by name: "
            "visible-human-male, visible-human-female, phantom."
        ),
    ],
    output: Annotated[
        str, typer.Argument(help="Volume to write or resume, *.ome.zarr; local or s3://..")
    ],
    config: Config = None,
    overrides: Set = None,
    ray: Ray = None,
    workers: Workers = None,
    force: Annotated[bool, typer.Option(help="Begin anew over another run's output.")] = False,
    plan: Plan = False,
    as_json: Json = False,
) -> None:
    """Give TARGET the colours of REFERENCES, slice by slice, and write OUTPUT."""
    _refuse_absent(target)
    from medcolor.api import colorize_volume, plan_volume

    settings = chosen_settings(config, overrides)
    runner = _runner(ray, workers, settings)
    if plan:
        found = plan_volume(target, references, output, settings=settings, runner=runner)
        tell(json.dumps(found.as_json()) if as_json else found)
        return
    with progress_shown() as progress:
        report = colorize_volume(
            target,
            references,
            output,
            settings=settings,
            runner=runner,
            progress=progress,
            force=force,
        )
    _tell(report)
    raise typer.Exit(0 if report.is_complete else 1)


@app.command()
def render(
    volume: Annotated[
        str, typer.Argument(help="Volume written by colorize, or a folder of several.")
    ],
    output: Annotated[str, typer.Argument(help="Folder for pictures and page; local or s3://..")],
    config: Config = None,
    overrides: Set = None,
    frames: Annotated[int | None, typer.Option(help="Alias of render.frames.")] = None,
    size: Annotated[int | None, typer.Option(help="Alias of render.size_px.")] = None,
    opacity: Annotated[str | None, typer.Option(help="Alias of scene.opacity.")] = None,
    ray: Ray = None,
    workers: Workers = None,
) -> None:
    """Draw VOLUME: turntable, sections grey beside colour, video and a web page."""
    from medcolor.api import render_volume

    aliases = {"render.frames": frames, "render.size_px": size, "scene.opacity": opacity}
    extra = [f"{key}={value}" for key, value in aliases.items() if value is not None]
    if opacity is not None:  # of a settings file points would take precedence
        extra.append("scene.opacity_points=null")
    settings = chosen_settings(config, [*(overrides or []), *extra])
    runner = _runner(ray, workers, settings)
    with progress_shown() as progress:
        page = render_volume(volume, output, settings=settings, runner=runner, progress=progress)
    tell(page)


@app.command()
def compare(
    target: Annotated[Path, typer.Argument(help="NIfTI file, DICOM folder or image folder.")],
    reference: Annotated[Path, typer.Argument(help="One photograph of the same place.")],
    output: Annotated[Path, typer.Argument(help="Folder to write.")],
    number: Annotated[
        int | None, typer.Option("--slice", help="Slice, counted from the feet; or the middle.")
    ] = None,
    config: Config = None,
    overrides: Set = None,
) -> None:
    """Compare the three looks, reconstruction, filters and gamma on one slice."""
    from medcolor.evaluate.compare import compare as write_sheets
    from medcolor.storage.outputs import folder_to_write

    folder_to_write(output, "a comparison")
    chosen = chosen_settings(config, overrides)
    for path in write_sheets(target, reference, output, chosen, number=number):
        tell(path)


@app.command()
def cohort(
    manifest: Annotated[
        str, typer.Argument(help="YAML or parquet file of name and target, or a pattern 'scans/*'.")
    ],
    references: Annotated[str, typer.Argument(help="As of colorize.")],
    output: Annotated[str, typer.Argument(help="Folder for NAME.ome.zarr and summary.parquet.")],
    config: Config = None,
    overrides: Set = None,
    ray: Ray = None,
    workers: Workers = None,
    force: Annotated[bool, typer.Option(help="Look again at all, also at those kept.")] = False,
    plan: Plan = False,
    as_json: Json = False,
) -> None:
    """Colour the volumes of MANIFEST that are new or changed."""
    from medcolor.api import colorize_cohort, plan_cohort

    settings = chosen_settings(config, overrides)
    runner = _runner(ray, workers, settings)
    if plan:
        found = plan_cohort(manifest, references, output, settings=settings, runner=runner)
        tell(json.dumps(found.as_json()) if as_json else found)
        return
    with progress_shown() as progress:
        report = colorize_cohort(
            manifest,
            references,
            output,
            settings=settings,
            runner=runner,
            progress=progress,
            force=force,
        )
    tell(report)
    raise typer.Exit(0 if report.is_complete else 1)


@app.command()
def status(
    output: Annotated[str, typer.Argument(help="Volume of a run, or folder of a cohort.")],
    as_json: Json = False,
) -> None:
    """Tell how far the run that writes OUTPUT is, from any machine that sees it."""
    from medcolor.run.status import read_status
    from medcolor.storage import place_of

    found = read_status(place_of(output))
    if as_json:
        tell(json.dumps([one.as_json() for one in found]))
    else:
        tell("\n".join(map(str, found)))


@app.command()
def doctor(
    place: Annotated[
        str | None, typer.Argument(help="Where results are to lie; or s3://..; by default here.")
    ] = None,
    config: Config = None,
    overrides: Set = None,
    ray: Ray = None,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Tell what works of GPU, drawing, Ray, storage, disk and weights, and what to do about it."""
    from medcolor.doctor import examine, greet_every_node
    from medcolor.storage import place_of

    settings = chosen_settings(config, overrides)
    where = None if place is None else place_of(place)

    def join() -> str:
        return greet_every_node(_runner(ray, workers, settings))

    findings = examine(settings, where, None if ray is None else join)
    if as_json:
        tell(json.dumps([one.as_json() for one in findings]))
    else:
        tell("\n".join(map(str, findings)))
    raise typer.Exit(0 if all(one.works for one in findings) else 1)


@app.command()
def demo(
    output: Annotated[Path, typer.Option(help="Folder to write.")] = Path("out/demo"),
) -> None:
    """Colour the head of a procedural person from another's cross-sections, and draw it."""
    from medcolor.evaluate.demo import run_demo

    with progress_shown() as progress:
        result = run_demo(output, progress)
    tell(result)


@app.command()
def settings(
    config: Config = None,
    overrides: Set = None,
) -> None:
    """Print every setting with its documentation; with --config or --set, check those."""
    from medcolor.config import describe_settings

    chosen_settings(config, overrides)
    typer.echo(describe_settings(), nl=False)


@index_app.command("build")
def index_build(
    references: Annotated[str, typer.Argument(help="Folder of colour cross-sections.")],
    index: Annotated[str, typer.Argument(help="Folder to write.")],
    config: Config = None,
    overrides: Set = None,
    ray: Ray = None,
    workers: Workers = None,
) -> None:
    """Describe REFERENCES with fc6 and write the parquet INDEX."""
    from medcolor.run.index import build_index
    from medcolor.run.index_copies import updating
    from medcolor.storage import place_of
    from medcolor.storage.outputs import folder_to_write

    chosen = chosen_settings(config, overrides)
    runner = _runner(ray, workers, chosen)
    written = folder_to_write(index, "an index")
    with progress_shown() as progress, updating(written) as folder:
        built = build_index(place_of(references), folder, chosen, runner, progress)
    tell(f"{len(built.records)} references in {index}")


@index_app.command("append")
def index_append(
    references: Annotated[str, typer.Argument(help="Folder of colour cross-sections.")],
    index: Annotated[str, typer.Argument(help="Index folder.")],
    config: Config = None,
    overrides: Set = None,
    ray: Ray = None,
    workers: Workers = None,
) -> None:
    """Add those REFERENCES to INDEX that it does not hold; made with the same settings."""
    from medcolor.run.index import append_index
    from medcolor.run.index_copies import updating
    from medcolor.storage import place_of

    chosen = chosen_settings(config, overrides)
    runner = _runner(ray, workers, chosen)
    with progress_shown() as progress, updating(place_of(index)) as folder:
        done = append_index(place_of(references), folder, chosen, runner, progress)
    if done.known:
        tell(f"{len(done.known)} were there already: {_some(done.known)}")
    tell(f"{done.added} added, {len(done.index.records)} references in {index}")


@index_app.command("remove")
def index_remove(
    index: Annotated[str, typer.Argument(help="Index folder.")],
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="As `index show` has them.")],
) -> None:
    """Remove references from INDEX; the photographs stay."""
    from medcolor.run.index_copies import remove_references
    from medcolor.storage import place_of

    left = remove_references(place_of(index), ids)
    tell(f"{len(set(ids))} removed, {len(left.records)} references in {index}")


@index_app.command("query")
def index_query(
    index: Annotated[str, typer.Argument(help="Index folder.")],
    image: Annotated[Path, typer.Argument(help="One grey slice: PNG, JPEG or TIFF.")],
    count: Annotated[int, typer.Option("-k", min=1, help="References to list.")] = 3,
    output: Annotated[Path | None, typer.Option(help="PNG of the slice beside them.")] = None,
    config: Config = None,
    overrides: Set = None,
) -> None:
    """List the references of INDEX most similar to IMAGE (cosine of fc6, equation 2)."""
    from medcolor.run.index_copies import local_index
    from medcolor.run.index_pictures import query_index
    from medcolor.storage import place_of

    chosen = chosen_settings(config, overrides)
    for match in query_index(local_index(place_of(index)), image, chosen, count, picture=output):
        tell(f"{match.cosine:7.4f}  {match.record.reference_id}")


@index_app.command("show")
def index_show(
    index: Annotated[str, typer.Argument(help="Index folder.")],
    output: Annotated[Path | None, typer.Option(help="PNG of its photographs in order.")] = None,
) -> None:
    """Tell what INDEX holds."""
    from medcolor.run.index_copies import local_index
    from medcolor.run.index_pictures import show_index
    from medcolor.storage import place_of

    tell(show_index(local_index(place_of(index)), picture=output))


@reference_app.command("prepare")
def reference_prepare(
    frames: Annotated[Path, typer.Argument(help="Folder of raw frames.")],
    output: Annotated[Path, typer.Argument(help="Folder to write, or to bring up to date.")],
    config: Config = None,
    overrides: Set = None,
    ray: Ray = None,
    workers: Workers = None,
) -> None:
    """Cut the bodies out of raw FRAMES: no gel, card or label; white balance; a contact sheet."""
    from medcolor.run.prepare import prepare_references
    from medcolor.storage.outputs import folder_to_write

    folder_to_write(output, "a prepared library")
    chosen = chosen_settings(config, overrides)
    runner = _runner(ray, workers, chosen)
    with progress_shown() as progress:
        report = prepare_references(frames, output, chosen, runner, progress)
    tell(report)


@weights_app.command("list")
def weights_list() -> None:
    """List the networks known by name and whether they are on this machine."""
    from medcolor.weights import list_weights

    tell(list_weights())


@weights_app.command("pull")
def weights_pull(
    name: Annotated[str, typer.Argument(help="A name of `medcolor weights list`.")],
    url: Annotated[
        str | None, typer.Option(help="A mirror of the file; it is checked all the same.")
    ] = None,
) -> None:
    """Download the network NAME; a download that was cut off is continued."""
    from medcolor.features.registry import REGISTRY
    from medcolor.weights import pull_weights

    if name not in REGISTRY:
        raise InputError(f"weights pull {name}", "no such network", f"Give {', '.join(REGISTRY)}")
    with progress_shown() as progress:
        stored = pull_weights(REGISTRY[name], progress, url=url)
    tell(f"{stored.name}: {stored.path}, origin SHA-256 {stored.origin_digest}")


@weights_app.command("import")
def weights_import(
    file: Annotated[
        Path, typer.Argument(help="vgg19_gray.pth, or VGG-19 as torchvision saves it.")
    ],
) -> None:
    """Store FILE, a published network you have, under its name; no code in it is run."""
    from medcolor.weights import import_weights

    stored = import_weights(file)
    tell(f"{stored.name}: {stored.path}, origin SHA-256 {stored.origin_digest}")


@weights_app.command("verify")
def weights_verify() -> None:
    """Check every network on this machine against the digest it was stored with."""
    from medcolor.weights import verify_weights

    found = verify_weights()
    for name, is_good, words in found:
        tell(f"{'ok ' if is_good else 'BAD'}  {name}  {words}")
    raise typer.Exit(0 if all(is_good for _, is_good, _ in found) else 1)


def _refuse_absent(scan: str) -> None:
    """Answer a mistyped path before all that takes seconds to load."""
    from medcolor.storage import place_of

    place = place_of(scan)
    if isinstance(place, Path) and not place.exists():
        raise InputError(place, "no such file or folder", "Check the path")


def _runner(address: str | None, workers: int | None, settings: RunSettings) -> Runner:
    """Return the runner the user asked for; Ray is imported only then."""
    from medcolor.run.serial import SerialRunner

    if address is None:
        if workers not in (None, 1):
            raise InputError(
                f"--workers {workers}",
                "one process works without Ray; its threads are compute.threads",
                "Add --ray auto",
            )
        return SerialRunner()
    from medcolor.run.ray_pool import RayRunner

    compute = settings.compute
    return RayRunner(
        address,
        workers,
        gpu_share=compute.gpu_share,
        uses_gpus={"auto": None, "cpu": False, "cuda": True}[compute.device],
        patience_s=compute.patience_s,
    )


def _some(names: Sequence[str]) -> str:
    """Return the first names of a list, and whether there are more."""
    return ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")


def _tell(report: RunReport) -> None:
    """Print what a run did."""
    from medcolor.run.ledger import Ledger

    tell(
        f"{report.output}: {report.slices} slices, {report.slabs_done} slabs written, "
        f"{report.slabs_kept} kept, {len(report.failures)} failed"
    )
    for failure in report.failures[:_NAMED]:
        task = failure.task
        tell(f"  failed: {task.stage}, slices {task.start} to {task.stop}: {failure.problem}")
    if report.failures:
        tell(f"  all of them: {Ledger.folder_of(report.output) / 'failures.jsonl'}")
    tell(f"scan: {report.window}")
    tell(f"photographs: {report.bearing}")
    if report.slices_colored:
        tell(report.cost_table())


def main() -> None:
    """Run the command line; an error of ours becomes one line and its exit status."""
    log_to_standard_error()
    _print_anywhere()
    try:
        app()
    except MedcolorError as error:
        _end(error)
    except OSError as error:
        _end(of_system(error))


def _print_anywhere() -> None:
    """Show what a terminal's character set lacks as escapes, instead of failing on it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _end(error: MedcolorError) -> NoReturn:
    typer.echo(f"error: {error}", err=True)
    sys.exit(error.exit_status)
