"""The folder of an RS-RAG made: knowledge cut into passages, both kinds of vectors, and what it works over."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsvlm.data.images import read_rgb
from rsvlm.data.sources.rswk_knowledge import Landmark, read_knowledge
from rsvlm.errors import BadInput
from rsvlm.files import atomic_folder
from rsvlm.index.knowledge import KnowledgeBase, Passage, Picture, pixels_hash
from rsvlm.index.landmarks import KnowledgeChunker
from rsvlm.progress import progress_bar
from rsvlm.sample import Image
from rsvlm.systems.abilities import Matches
from rsvlm.systems.load import load
from rsvlm.systems.matching import BATCH, check_matches, checked_vectors
from rsvlm.systems.pipeline import refuse_pipeline
from rsvlm.systems.rs_rag.settings import RagSettings, write_settings


def make(
    source: Path, out: Path, settings: RagSettings, *, pictures: Path | None = None, split: str = "all",
    released: bool = False,
) -> KnowledgeBase:  # fmt: skip
    """Write the folder `out` from RSWK's knowledge in `source` (`read_knowledge`); it is a model for `load`.

    `split` holds out the landmarks of the others; `released` cuts passages as the released script does
    (`KnowledgeChunker`). Raises BadInput for knowledge or pictures that cannot be read, a model that does not match,
    and a folder that cannot be written.
    """
    for name in (settings.answers, settings.matches):
        refuse_pipeline(name)
    landmarks = list(read_knowledge(source, pictures, split))
    matches: Any = load(settings.matches)
    check_matches(matches)
    base = knowledge_base(landmarks, matches, KnowledgeChunker(released=released))
    try:
        with atomic_folder(out) as folder:
            base.save(folder)
            write_settings(folder, settings)
    except OSError as error:
        raise BadInput(f"{out} cannot be written ({error.strerror}); choose a folder that can.") from error
    return base


def knowledge_base(landmarks: Iterable[Landmark], matches: Matches, chunker: KnowledgeChunker) -> KnowledgeBase:
    """Landmarks to passages and pictures with their vectors; a text longer than the model reads is cut, as released.

    The passages of a landmark without a picture are kept; the fused score of a question with a picture skips them.
    """
    passages: list[Passage] = []
    about: list[int] = []
    shown: list[tuple[Picture, Path]] = []
    for landmark in landmarks:
        texts = chunker.passages(landmark.record)
        passages += texts
        about += [len(shown) if landmark.picture else -1] * len(texts)
        if landmark.picture:
            shown.append((Picture(landmark.name), landmark.picture))
    texts = _in_batches(matches.embed_texts, [passage.text for passage in passages], "passages")
    texts = checked_vectors(matches.name, texts, len(passages), "text")
    hashes: list[str] = []

    def seen(paths: Sequence[Path]) -> NDArray[np.float32]:
        pixels = [read_rgb(Image(path=str(path))) for path in paths]
        hashes.extend(map(pixels_hash, pixels))
        return matches.embed_images(pixels)

    images = np.zeros((0, texts.shape[1]))
    if shown:
        images = _in_batches(seen, [path for _, path in shown], "pictures")
        images = checked_vectors(matches.name, images, len(shown), "picture", width=texts.shape[1])
    named = [Picture(picture.name, pixels) for (picture, _), pixels in zip(shown, hashes, strict=True)]
    return KnowledgeBase(passages, named, texts, images, np.array(about, np.int32))


def _in_batches(embed: Callable[[Any], NDArray[np.float32]], items: Sequence[Any], what: str) -> NDArray[np.float32]:
    if not items:
        raise BadInput(f"The knowledge holds no {what}, so that nothing could be found in it.")
    rows: list[NDArray[np.float32]] = []
    with progress_bar() as progress:
        for start in progress.track(range(0, len(items), BATCH), description=f"{what} ({BATCH} at once)"):
            rows.append(embed(items[start : start + BATCH]))
    return np.concatenate(rows)
