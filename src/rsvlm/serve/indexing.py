"""What `rsvlm index` does: scenes into an archive; what has not changed is left out, a killed run goes on."""

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from rsvlm.errors import BadInput
from rsvlm.files import sha256
from rsvlm.index.archive import Archive
from rsvlm.index.store import is_remote
from rsvlm.index.writing import SceneRows
from rsvlm.json_text import load_json
from rsvlm.printable import printable
from rsvlm.progress import progress_bar
from rsvlm.serve.archive_documents import DocumentReport, split_arguments, try_documents
from rsvlm.serve.archive_model import load_embedder, open_or_create
from rsvlm.serve.archive_sources import Source, find_sources
from rsvlm.serve.archive_tiles import (
    ROWS,
    SECONDS,
    Advance,
    Captions,
    IndexSettings,
    SceneEmbedder,
    fingerprint,
    with_hash,
)
from rsvlm.systems.abilities import Answers, ability_error
from rsvlm.systems.load import load

Engine = Literal["local", "ray"]
Job = tuple[Source, dict[str, Any]]  # a scene to make, and what its file is now


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexReport:
    """What came of a run: scenes made new, left as they were, and not readable (key -> sentence); rows in all.

    `others` are files that are neither rasters nor documents, `problems` sentences about items and documents that
    cannot be indexed, `unplaced` the scenes without a place on Earth.
    """

    made: int
    unchanged: int
    rows: int
    failed: Mapping[str, str] = field(default_factory=dict[str, str])
    others: tuple[Path, ...] = ()
    problems: tuple[str, ...] = ()
    unplaced: tuple[str, ...] = ()
    documents: DocumentReport = field(default_factory=DocumentReport)


def run(
    arguments: Sequence[str], *, out: str, model: Any = "mini", settings: IndexSettings, captions: str = "",
    engine: Engine = "local", workers: int = 0, fetch: bool = False,
) -> IndexReport:  # fmt: skip
    """Index the scenes of folders, files, patterns or STAC files into the archive `out`, which is made where none is.

    `model`: a name, or (not of Ray) an open one. `captions`: a JSON file {scene: caption}, or a model that describes
    tiles. `workers`: of Ray (0 = as many as it has CPUs). `fetch`: download pictures that STAC names by URL, one at a
    time, and forget them. Raises BadInput where there is no scene, and where `out` is no archive or of another model.
    """
    leave = None if is_remote(out) else Path(out).absolute()
    texts, of_scenes = split_arguments(arguments, leave)
    words = [path for path in texts if str(path) not in of_scenes]  # which are no STAC files that name scenes
    found = find_sources(of_scenes, fetch=fetch, leave=leave, needed=not words)
    captioned, describe = read_captions(captions)
    embedder = load_embedder(model) if isinstance(model, str) else model
    archive = open_or_create(out, embedder)
    try:
        todo = list(_changed(found.sources, archive, settings, captions))
        with progress_bar() as progress:
            bar = progress.add_task("scenes", total=len(found.sources), completed=len(found.sources) - len(todo))

            def advance(share: float) -> None:
                progress.advance(bar, share)

            if engine == "ray":
                from rsvlm.serve.indexing_ray import embed_on_ray

                rows = embed_on_ray(todo, model, settings, captioned, captions if describe else "", workers)
                failed = _keep(rows, archive, advance)
            else:
                work = SceneEmbedder(embedder, settings, archive.replace_scenes, captions=captioned, describe=describe)
                failed = _embed(work, todo, advance)
            progress.update(bar, completed=len(found.sources))  # shares of scenes do not add up to the last digit
            for sentence in failed.values():
                progress.console.print(printable(f"rsvlm: {sentence}"), markup=False, highlight=False, soft_wrap=True)
        if todo:
            archive.build_index()
        made = {source.key for source, _ in todo}
        archive.close()  # documents are written under the same lock
        documents = try_documents(out, texts, arguments)
        left = [one for one in found.others if one not in texts or one in documents.others]
        return IndexReport(
            made=len(todo) - len(failed), unchanged=len(found.sources) - len(todo), rows=archive.facts.rows,
            failed=failed, others=tuple(left), problems=(*found.problems, *documents.problems), documents=documents,
            unplaced=tuple(key for key in archive.without_place() if key in made),
        )  # fmt: skip
    finally:
        archive.close()


def read_captions(given: str) -> tuple[Captions, Any]:
    """Captions of scenes from a JSON file, or a model that gives them; neither for "". Raises BadInput."""
    if not given:
        return None, None
    if not given.endswith(".json"):
        model = load(given)
        if not isinstance(model, Answers):
            raise ability_error(given, Answers)
        return None, model
    try:
        read = load_json(Path(given).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"The captions {given} cannot be read ({error}); expected a JSON object.") from error
    if not isinstance(read, dict) or not all(isinstance(text, str) for text in read.values()):
        raise BadInput(f'{given} holds no captions; expected a JSON object {{"scene.tif": "a harbour with ships"}}.')
    return read, None


def _changed(sources: Sequence[Source], archive: Archive, settings: IndexSettings, captions: str) -> Iterator[Job]:
    """The scenes to make, with what their files are now. A file with another time but the same content is noted."""
    how = sha256(Path(captions)) if captions.endswith(".json") else captions
    known, touched = archive.fingerprints, dict[str, str]()
    for source in sources:
        try:
            now = fingerprint(source, settings, how)
        except BadInput:  # gone since the folder was read: said where it is opened
            now = {}
        old: dict[str, Any] = json.loads(known.get(source.key) or "{}")
        same = bool(now) and all(old.get(key) == value for key, value in now.items() if key != "mtime")
        if same and old.get("mtime") != now.get("mtime"):
            again = with_hash(now, source.path)
            same = json.loads(again)["sha256"] == old.get("sha256")
            touched |= {source.key: again} if same else {}
        if not same:
            yield source, now
    archive.touch(touched)


def _embed(work: SceneEmbedder, todo: Sequence[Job], advance: Advance) -> dict[str, str]:
    """Embed scenes here; a sentence for each that cannot be read."""
    for source, mark in todo:
        shares = [1.0]

        def count(share: float, left: list[float] = shares) -> None:
            left.append(-share)
            advance(share)

        work.add(source, mark, count)
        advance(sum(shares))  # what had no data, or could not be read
    work.finish()
    return work.failed


def _keep(rows: Iterable[SceneRows | tuple[str, str]], archive: Archive, advance: Advance) -> dict[str, str]:
    """Put what comes into the archive; a sentence for each scene that could not be read."""
    failed, waiting, since = dict[str, str](), list[SceneRows](), time.monotonic()
    for one in rows:
        advance(1)
        if isinstance(one, tuple):
            failed[one[0]] = one[1]
            continue
        waiting.append(one)
        if sum(len(scene.tiles) for scene in waiting) >= ROWS or time.monotonic() - since > SECONDS:
            archive.replace_scenes(waiting)
            waiting, since = [], time.monotonic()
    archive.replace_scenes(waiting)
    return failed
