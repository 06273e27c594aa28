"""Archives of scenes: index them, and look after the archive."""

from collections.abc import Container, Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from rsvlm.cli.matching import Bands, Batch, Quiet
from rsvlm.cli.options import AsJson, Bbox, Model
from rsvlm.cli.scenes import silence
from rsvlm.cli.show import answers_on_stdout, print_json
from rsvlm.errors import BadInput
from rsvlm.printable import say

app = typer.Typer(help="Look after an archive of rsvlm index.", no_args_is_help=True)
ArchivePath = Annotated[str, typer.Argument(metavar="ARCHIVE", help="A folder, or s3://bucket/path.")]
_NAMED = 5  # files that are listed


def index(
    scenes: Annotated[
        list[str], typer.Argument(metavar="DIR|GLOB|STAC.json...", help="Scenes, folders with some below, STAC files.")
    ],
    out: Annotated[str, typer.Option(metavar="ARCHIVE", help="The archive: a folder, or s3://bucket/path.")],
    model: Model = "mini",
    tile_metres: Annotated[
        float | None, typer.Option(metavar="M", help="Side of a tile on the ground (default: by resolution).")
    ] = None,
    tile: Annotated[
        int | None, typer.Option(min=32, metavar="N", help="Side in pixels, where no resolution is known.")
    ] = None,
    bands: Bands = None,
    captions: Annotated[
        str, typer.Option(metavar="FILE.json|MODEL", help='{"scene.tif": "text"}, or a model that describes tiles.')
    ] = "",
    sensor: Annotated[str, typer.Option(metavar="NAME", help="The sensor, where a scene does not say it.")] = "",
    thumbnails: Annotated[
        bool, typer.Option("--thumbnails/--no-thumbnails", help="Keep a small picture a tile.")
    ] = True,
    engine: Annotated[Literal["local", "ray"], typer.Option(help="This process, or a cluster of Ray.")] = "local",
    workers: Annotated[int, typer.Option(min=0, metavar="N", help="Models at once, of ray (0: one a CPU).")] = 0,
    fetch: Annotated[bool, typer.Option("--fetch", help="Download the pictures that STAC names by URL.")] = False,
    batch: Batch = 32,
    quiet: Quiet = False,
) -> None:
    """Put the tiles of scenes into an archive: vectors with place, date and sensor. Only what changed is made again."""
    with silence(quiet), answers_on_stdout():
        from rsvlm.serve.archive_tiles import IndexSettings
        from rsvlm.serve.indexing import run

        settings = IndexSettings(
            tile_metres=tile_metres, tile=tile, bands=bands, sensor=sensor, thumbnails=thumbnails, batch=batch
        )
        report = run(
            scenes, out=out, model=model, settings=settings, captions=captions, engine=engine, workers=workers,
            fetch=fetch,
        )  # fmt: skip
    say(f"{out}: {report.rows} rows; {report.made} scenes new or changed, {report.unchanged} as they were")
    _listed("without a place on Earth, found by their content only", [Path(one).name for one in report.unplaced])
    if documents := report.documents.made + report.documents.unchanged:
        say(f"  {documents} documents of {report.documents.passages} passages, {report.documents.made} new or changed")
    _listed("no rasters, left out", [one.name for one in report.others])
    for sentence in report.problems:
        say(f"rsvlm: {sentence}", err=True)
    if report.failed:
        names = [Path(key).name for key in report.failed]
        more = ", ..." if len(names) > _NAMED else ""
        raise BadInput(f"{len(names)} scenes could not be read: {', '.join(names[:_NAMED])}{more}; all others are in.")


def _listed(what: str, names: list[str]) -> None:
    if names:
        say(f"  {len(names)} {what}: {', '.join(names[:_NAMED])}{', ...' if len(names) > _NAMED else ''}")


@app.command()
def check(
    archive: ArchivePath,
    repair: Annotated[
        bool, typer.Option("--repair", help="Take out what is wrong; the next index makes it again.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Verify rows, vectors and records, and whether the sources are still what they were, documents too."""
    from rsvlm.index.archive import Archive
    from rsvlm.index.documents import Documents
    from rsvlm.serve.archive_sources_check import check_documents, check_sources

    opened = Archive.open(archive)
    faults = opened.check()
    removed = opened.repair(faults) if repair and faults.sentences else 0
    sources, documents = check_sources(opened), Documents(archive)
    texts = check_documents(documents)
    if as_json:
        facts = opened.facts
        print_json({
            "rows": facts.rows, "scenes": facts.scenes, "model": facts.model, "weights": facts.weights_hash,
            "width": facts.width, "format": facts.format, "faults": faults.sentences, "removed": removed,
            "missing": list(sources.missing), "changed": list(sources.changed), "passages": len(documents),
            "documents_missing": list(texts.missing), "documents_changed": list(texts.changed),
        })  # fmt: skip
    else:
        say(f"{archive}: {opened.facts.rows} rows of {opened.facts.scenes} scenes, vectors of {opened.model}")
        _listed("sources are gone, their rows stay (rsvlm archive delete --scene)", list(sources.missing))
        _listed("sources have changed (rsvlm index makes them again)", list(sources.changed))
        if len(documents):
            say(f"  {len(documents)} passages of documents")
        _listed("documents are gone, their passages stay (rsvlm archive delete --document)", list(texts.missing))
        _listed("documents have changed (rsvlm index reads them again)", list(texts.changed))
        for sentence in faults.sentences:
            say(f"  {sentence}")
        if repair:
            say(f"  repaired: {removed} rows taken out")
    if faults.sentences and not repair:
        raise BadInput(f"{archive} is not sound; mend it: rsvlm archive check {archive} --repair")


@app.command()
def versions(archive: ArchivePath, as_json: AsJson = False) -> None:
    """List the commits that can still be opened."""
    from rsvlm.index.archive import Archive

    found = Archive.open(archive).versions()
    if as_json:
        print_json([{"version": one.number, "time": one.time.isoformat(), "rows": one.rows} for one in found])
        return
    for one in found:
        say(f"{one.number:6}  {one.time:%Y-%m-%d %H:%M:%S}  {one.rows} rows")


@app.command()
def compact(
    archive: ArchivePath,
    keep: Annotated[float, typer.Option(metavar="DAYS", min=0, help="Keep versions that are younger.")] = 7.0,
) -> None:
    """Put small files together, bring the indices up to date and remove old versions."""
    from datetime import timedelta

    from rsvlm.index.archive import Archive

    opened = Archive.open(archive)
    opened.compact(keep=timedelta(days=keep))
    opened.build_index()
    say(f"{archive}: {opened.facts.rows} rows, {len(opened.versions())} versions")


@app.command()
def delete(
    archive: ArchivePath,
    scene: Annotated[list[str] | None, typer.Option(metavar="SCENE", help="All tiles of a scene (its path).")] = None,
    bbox: Bbox = None,
    sensor: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Tiles of a sensor.")] = None,
    document: Annotated[
        list[str] | None, typer.Option(metavar="FILE", help="All passages of a document (its path).")
    ] = None,
) -> None:
    """Take out documents, and tiles: those that fit all that is given.

    Older versions keep them until the archive is compacted.
    """
    from rsvlm.index.archive import Archive
    from rsvlm.index.documents import Documents
    from rsvlm.index.filters import Filters
    from rsvlm.serve.archive_filters import read_boxes

    opened, documents = Archive.open(archive), Documents(archive)
    keys = _known(archive, "scene", scene or (), opened.fingerprints)
    texts = _known(archive, "document", document or (), documents.fingerprints() if document else {})
    if texts:
        opened.close()  # documents are written under the same lock
        documents.forget(texts)
        say(f"{archive}: {len(texts)} documents deleted, {len(documents)} passages left")
        if not (scene or bbox or sensor):
            return
    removed = opened.delete(Filters(scenes=keys, boxes=read_boxes(bbox) if bbox else (), sensors=tuple(sensor or ())))
    say(f"{archive}: {removed} rows deleted, {opened.facts.rows} left")


def _known(archive: str, what: str, names: Sequence[str], known: Container[str]) -> tuple[str, ...]:
    """The keys of sources that are named by their keys or paths. Raises BadInput for one that is not there."""
    keys = tuple(one if one in known else str(Path(one).resolve()) for one in names)
    if unknown := [one for one in keys if one not in known]:
        raise BadInput(f"{archive} holds no {what} {unknown[0]}; give the path that it was indexed from.")
    return keys
