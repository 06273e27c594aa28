"""Questions to an archive: sentences of documents are quoted and tiles listed, each by its number, or nothing is said.

What a document says is data. It reaches an answer in quotation marks and behind its number only, whatever it says; no
text of a document is ever run, followed or put where a program or a reader takes it for the answer's own words.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsvlm.errors import BadInput
from rsvlm.index.archive import Archive
from rsvlm.index.document_text import Section, sentences
from rsvlm.index.documents import DocumentHit, Documents, has_documents
from rsvlm.index.filters import Filters
from rsvlm.index.rows import Hit
from rsvlm.serve.archive_documents import sentence_vectors
from rsvlm.serve.archive_filters import ANYWHERE, Where, together
from rsvlm.serve.archive_model import weights_hash
from rsvlm.serve.archive_relevance import looked_for, relevance, stems, threshold
from rsvlm.systems.abilities import Matches, ability_error
from rsvlm.systems.load import load

NOTHING = "Nothing in the archive answers this."
EVERYWHERE = Filters()
LONGEST = 2000  # letters of a question
_PASSAGES, _QUOTED, _TILES = 12, 3, 5  # passages looked at, quoted at the most; tiles listed at the most
_NEAR = 0.85  # of the best passage's score, which another must have to be quoted beside it
Write = Callable[[str, Sequence["Source"]], str]  # question, sources -> an answer that cites them, "" = none


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What an answer cites as [number]: a passage of a document, with the sentences quoted of it, or a tile.

    `name` is the path of the document or the scene, `score` what its threshold is compared with.
    """

    number: int
    kind: str  # "document" or "tile"
    name: str
    score: float
    heading: str = ""
    text: str = ""
    quote: str = ""
    tile: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveAnswer:
    """An answer with its sources; `refused` where nothing was found, then without any. `how`: "quoted" or "written"."""

    question: str
    answer: str
    sources: tuple[Source, ...] = ()
    how: str = "quoted"
    notes: tuple[str, ...] = ()

    @property
    def refused(self) -> bool:
        """Whether nothing in the archive is relevant."""
        return not self.sources


class ArchiveAssistant:
    """An open archive that answers: `encoder` for its documents, `model` for its tiles (default: the archive's own).

    Both are loaded where there is something to compare. A `writer` writes over what was found; without one it is
    quoted. Raises BadInput for a path that is no archive, and for a model that is not its own.
    """

    def __init__(
        self, uri: str, *, writer: Write | None = None, encoder: Callable[[], Any] = sentence_vectors, model: Any = None
    ) -> None:
        self.archive, self.writer = Archive.open(uri), writer
        self.encode: Any = encoder() if has_documents(uri) else None
        self.documents = (
            Documents(uri, encoder=self.encode.name, width=self.encode.width) if self.encode is not None else None
        )
        self.model: Any = model
        if self.archive.facts.rows and model is None:
            self.model = load(self.archive.model)
        if self.model is not None:
            if not isinstance(self.model, Matches):
                raise ability_error(self.model.name, Matches)
            self.archive.check_model(self.model.name, weights_hash(self.model))

    def ask(self, question: str, *, where: Where = ANYWHERE) -> ArchiveAnswer:
        """The answer to one question, with tiles that lie `where`; documents have no place.

        Raises BadInput for an empty question, one of more than `LONGEST` letters, and a place or time that is none.
        """
        asked = check_question(question)
        passages, notes = self._passages(asked), list[str]()
        tiles = self._tiles(asked, together([*where.conditions().values()]), notes)
        sources = [
            *(_passage(hit, score, quote, number) for number, (hit, score, quote) in enumerate(passages, 1)),
            *(_tile(hit, number) for number, hit in enumerate(tiles, 1 + len(passages))),
        ]
        if not sources:
            return ArchiveAnswer(question=question, answer=NOTHING, notes=tuple(notes))
        written = self.writer(asked, sources) if self.writer else ""
        return ArchiveAnswer(
            question=question, answer=written or quoted_answer(asked, sources), sources=tuple(sources),
            how="written" if written else "quoted", notes=tuple(notes),
        )  # fmt: skip

    def passage_scores(self, question: str) -> list[tuple[DocumentHit, float]]:
        """The nearest passages with how well each may answer, best first."""
        if self.documents is None:
            return []
        hits = self.documents.search(self.encode([question])[0], _PASSAGES)
        scored = [(hit, relevance(hit.score, question, f"{hit.section.heading} {hit.section.text}")) for hit in hits]
        return sorted(scored, key=lambda one: -one[1])

    def tile_hits(self, question: str, filters: Filters = EVERYWHERE) -> list[Hit]:
        """The tiles nearest to what the question looks for, best first."""
        if self.model is None:
            return []
        return self.archive.search(self.model.embed_texts([looked_for(question)])[0], filters=filters, k=_TILES)

    def _passages(self, question: str) -> list[tuple[DocumentHit, float, str]]:
        scored = self.passage_scores(question)
        least = threshold("documents", self.encode.name) if scored else None
        if least is None or scored[0][1] < least:
            return []
        kept = [one for one in scored if one[1] >= max(least, _NEAR * scored[0][1])][:_QUOTED]
        return [(hit, score, self._quote(question, hit.section)) for hit, score in kept]

    def _quote(self, question: str, section: Section) -> str:
        """The sentence of a passage that is nearest to the question, and that before it where it refers back.

        Words of the headings are what the whole passage is about, and do not tell its sentences apart.
        """
        said = sentences(section.text)
        asked: NDArray[np.float32] = self.encode([question])[0]
        words = stems(question) - stems(section.heading)
        scores = [
            float(row @ asked) + len(words & stems(one)) / max(1, len(words))
            for row, one in zip(self.encode(said), said, strict=True)
        ]
        best = int(np.argmax(scores))
        back = best > 0 and said[best].split()[0].lower() in ("it", "its", "they", "this", "these", "he", "she")
        return " ".join(said[best - back : best + 1])

    def _tiles(self, question: str, filters: Filters, notes: list[str]) -> list[Hit]:
        hits = self.tile_hits(question, filters)
        least = threshold("tiles", self.archive.weights_hash)
        if hits and least is None:
            notes.append(
                f"No threshold is known for tiles of {self.archive.model}, so none is named: rsvlm match shows the "
                "nearest."
            )
            return []
        return [hit for hit in hits if least is not None and hit.score >= least]


def check_question(question: str) -> str:
    """The question without blanks around it. Raises BadInput where it is empty or too long."""
    asked = " ".join(question.split())
    if not asked:
        raise BadInput('A question is empty; give one, as in: rsvlm ask --archive archive "When was the quay built?"')
    if len(asked) > LONGEST:
        raise BadInput(f"A question has {len(asked):,} letters; at most {LONGEST:,} are read.")
    return asked


def quoted_answer(question: str, sources: Sequence[Source]) -> str:
    """Sentences of documents in quotation marks, then the tiles, each with its number."""
    lines = [f"“{in_quotes(one.quote)}” [{one.number}]" for one in sources if one.kind == "document"]
    tiles = [one for one in sources if one.kind == "tile"]
    if tiles:
        numbers = " ".join(f"[{one.number}]" for one in tiles)
        what = in_quotes(looked_for(question))
        are = "Tiles that look" if len(tiles) > 1 else "A tile that looks"
        lines.append(f"{are} like “{what}”: {numbers}. They were found by their looks and not counted or measured.")
    return "\n".join(lines)


def in_quotes(text: str) -> str:
    """A text on one line that cannot end its quotation, or pass for the number of a source."""
    plain = " ".join(text.replace("“", '"').replace("”", '"').split())
    return plain.replace("[", "(").replace("]", ")")


def _passage(hit: DocumentHit, score: float, quote: str, number: int) -> Source:
    return Source(
        number=number, kind="document", name=hit.document, score=score, heading=hit.section.heading,
        text=hit.section.text, quote=quote,
    )  # fmt: skip


def _tile(hit: Hit, number: int) -> Source:
    return Source(number=number, kind="tile", name=hit.tile.scene, score=hit.score, tile=hit.tile)
