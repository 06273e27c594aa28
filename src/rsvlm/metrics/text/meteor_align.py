"""What words and phrases of a candidate METEOR 1.5 can match with those of a reference, and what the best match holds.

Every text is a list of units: its words, and those of its phrases that the paraphrase table relates to something in
the corpus. Relations are looked up in one small table of units by units for some thousand pairs at a time.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain

import numpy as np
from numpy.typing import NDArray

from rsvlm.metrics.text.meteor_beam import Ints, Matches, search
from rsvlm.metrics.text.meteor_stem import stem
from rsvlm.metrics.text.meteor_table import STAGES, Lists, Paraphrases

_PAIRS, _CELLS = 4096, 1 << 22  # pairs that are aligned together at most, and possible matches that they may have
_EXACT, _STEM, _SYNONYM, _FORTH, _BACK = (1 << k for k in range(5))  # the order in which METEOR finds them
_RANK, _WORDS = 1 << 13, 1 << 3  # paraphrases of one phrase, words of a phrase: room in the key that orders matches


@dataclass(frozen=True, slots=True)
class Alignments:
    """What the best alignments of P pairs hold; counts are of words.

    `matched` (P, 2, 4, 2): side (candidate, reference), stage, content or function word. `totals` (P, 2, 2): side,
    content or function word. `chunks` (P,).
    """

    matched: Ints
    totals: Ints
    chunks: Ints


@dataclass(frozen=True, slots=True)
class _Relations:
    """Directed relations between different units: kind is _STEM, _SYNONYM (both ways stored) or _FORTH."""

    source: Ints
    target: Ints
    kind: Ints
    rank: Ints  # place among the paraphrases of the source


class Corpus:
    """Distinct tokenised texts made ready to be aligned with one another."""

    def __init__(self, texts: Sequence[Sequence[str]], lists: Lists, paraphrases: Paraphrases | None) -> None:
        number: dict[str, int] = {}
        flat = np.array([number.setdefault(word, len(number)) for word in chain.from_iterable(texts)], np.int64)
        vocabulary = list(number)
        self._words = len(vocabulary)
        self.starts = np.array([0, *accumulate(map(len, texts))], np.int64)
        function = np.array([word in lists.function for word in vocabulary], np.int64)
        self._function = np.concatenate([[0], np.cumsum(function[flat])]).astype(np.int64)
        by_stem = _groups((stem(word),) for word in vocabulary)
        by_sense = _groups(lists.senses(word) if lists.synsets else () for word in vocabulary)
        parts = [_related(by_stem, _STEM, len(number)), _related(by_sense, _SYNONYM, len(number))]
        units, places, sizes = [flat], [np.arange(len(flat))], [np.ones(len(flat), np.int64)]
        if paraphrases is not None and len(flat):
            nodes, related = self._phrases(flat, vocabulary, paraphrases)
            parts.append(related)
            for k, unit in enumerate(nodes, 1):
                (place,) = np.nonzero(unit >= 0)
                units, places = [*units, unit[place]], [*places, place]
                sizes.append(np.full(len(place), k + 1))
        place = np.concatenate(places)
        order = np.argsort(place, kind="stable")
        self._unit, self._place, self._size = np.concatenate(units)[order], place[order], np.concatenate(sizes)[order]
        self._units = np.searchsorted(self._place, self.starts)
        self._relations = _Relations(*(np.concatenate(part) for part in zip(*parts, strict=True)))
        self._highest = max(
            self._words, *(int(side.max(initial=0)) for side in (self._relations.source, self._relations.target))
        )

    def _phrases(self, flat: Ints, vocabulary: list[str], table: Paraphrases) -> tuple[list[Ints], tuple[Ints, ...]]:
        """The unit of the phrase of 2, 3, ... words at each place (-1: none), and how units paraphrase one another."""
        left = np.repeat(self.starts[1:], np.diff(self.starts)) - np.arange(len(flat))
        nodes = table.nodes(table.word_ids(vocabulary)[flat], left)
        unit = np.full(len(table.starts), -1, np.int64)  # of each node; one more than there are: -1 stays -1
        present = np.unique(np.concatenate(nodes))
        present = present[present >= 0]
        unit[present] = 0
        counts = table.starts[present + 1] - table.starts[present]
        rank = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        source = np.repeat(present, counts)
        target = table.targets[table.starts[source] + rank].astype(np.int64)
        known = unit[target] == 0
        source, target, rank = source[known], target[known], rank[known]
        unit[present] = -1
        phrases = np.unique(np.concatenate([source, target]))
        unit[phrases] = len(vocabulary) + np.arange(len(phrases))
        single = nodes[0] >= 0
        unit[nodes[0][single]] = flat[single]
        kind = np.full(len(source), _FORTH)
        return [unit[node] for node in nodes[1:]], (unit[source], unit[target], kind, rank)

    def align(self, candidates: Ints, references: Ints) -> Alignments:
        """The best alignment of each pair of texts (numbers of texts, both (P,))."""
        sizes = np.diff(self._units)
        cells = np.cumsum(sizes[candidates] * sizes[references])
        parts, first = [], 0
        while first < len(candidates) or not parts:
            before = int(cells[first - 1]) if first else 0
            last = max(first + 1, min(first + _PAIRS, int(np.searchsorted(cells, before + _CELLS, side="right"))))
            parts.append(self._align(candidates[first:last], references[first:last]))
            first = last
        return Alignments(*(np.concatenate([getattr(part, name) for part in parts]) for name in Alignments.__slots__))

    def _align(self, candidates: Ints, references: Ints) -> Alignments:
        sides = (candidates, references)
        pairs, lengths = len(candidates), [self.starts[side + 1] - self.starts[side] for side in sides]
        found = self._matches(candidates, references)
        chosen, chunks = search(found, pairs, lengths[1], int(lengths[0].max(initial=0) + 63) // 64 or 1)
        pair, stage = found.pair[chosen], found.stage[chosen]
        matched = np.zeros((pairs, 2, len(STAGES), 2), np.int64)
        totals = np.zeros((pairs, 2, 2), np.int64)
        spans = ((found.other, found.other_length), (found.at, found.length))
        for side, (texts, (start, length)) in enumerate(zip(sides, spans, strict=True)):
            begin = self.starts[texts[pair]] + start[chosen]
            function = self._function[begin + length[chosen]] - self._function[begin]
            for kind, words in enumerate((length[chosen] - function, function)):
                sums = np.bincount(pair * len(STAGES) + stage, words, pairs * len(STAGES))
                matched[:, side, :, kind] = sums.reshape(pairs, len(STAGES))
            totals[:, side, 1] = self._function[self.starts[texts + 1]] - self._function[self.starts[texts]]
            totals[:, side, 0] = lengths[side] - totals[:, side, 1]
        return Alignments(matched, totals, chunks)

    def _matches(self, candidates: Ints, references: Ints) -> Matches:
        """Every possible match, in METEOR's order."""
        first, last = self._units[references], self._units[references + 1]
        row = _ranges(first, last - first)  # one row for each unit of each reference
        pair = np.repeat(np.arange(len(references)), last - first)
        begin = self._units[candidates][pair]
        width = (self._units[candidates + 1] - self._units[candidates])[pair]
        local, table, keys, ranks = self._table(candidates, references)
        side = np.int64(table.shape[0])
        column = _ranges(begin, width)
        cell = np.repeat(local[self._unit[row]] * side, width) + local[self._unit[column]]
        related = table.ravel()[cell]
        same = candidates == references
        if same.any():  # equal texts match word by word only
            related[np.repeat(same[pair], width)] &= _EXACT
        hit = np.flatnonzero(related)
        line = np.searchsorted(np.cumsum(width), hit, side="right")
        related, cell, column, row, pair = related[hit], cell[hit], column[hit], row[line], pair[line]
        at, length = self._place[row] - self.starts[references[pair]], self._size[row]
        other, other_length = self._place[column] - self.starts[candidates[pair]], self._size[column]
        span = int(np.diff(self.starts).max(initial=0)) + 1
        parts, orders, stages = [], [], []
        for stage, kind in enumerate((_EXACT, _STEM, _SYNONYM, _FORTH, _BACK)):
            which = np.flatnonzero(related & kind)
            order = other[which]
            if kind == _FORTH:
                rank = ranks[np.searchsorted(keys, cell[which])]
                order = (length[which] * _RANK + rank) * span + order
            elif kind == _BACK:
                rank = ranks[np.searchsorted(keys, cell[which] % side * side + cell[which] // side)]
                order = (order * _WORDS + other_length[which]) * _RANK + rank
            parts.append(which)
            orders.append(((pair[which] * span + at[which]) * 5 + stage) * (_WORDS * _RANK * span) + order)
            stages.append(np.full(len(which), min(stage, 3)))
        order = np.argsort(np.concatenate(orders))
        which = np.concatenate(parts)[order]
        stage = np.concatenate(stages)[order]
        return Matches(pair[which], at[which], length[which], other[which], other_length[which], stage)

    def _table(self, candidates: Ints, references: Ints) -> tuple[Ints, NDArray[np.uint8], Ints, Ints]:
        """Numbers of the units in these texts, the kinds of relation [reference's, candidate's], and paraphrase ranks.

        Ranks come as sorted keys `source * units + target` and a rank for each.
        """
        texts = np.unique(np.concatenate([candidates, references]))
        inside = np.unique(self._unit[_ranges(self._units[texts], self._units[texts + 1] - self._units[texts])])
        local = np.full(self._highest + 1, -1)
        local[inside] = np.arange(len(inside))
        source, target = local[self._relations.source], local[self._relations.target]
        here = (source >= 0) & (target >= 0)
        source, target, kind, rank = source[here], target[here], self._relations.kind[here], self._relations.rank[here]
        table = np.zeros((len(inside), len(inside)), np.uint8)
        np.fill_diagonal(table, np.where(inside < self._words, _EXACT, 0))
        for one in (_STEM, _SYNONYM, _FORTH):
            table[source[kind == one], target[kind == one]] |= one
        forth = kind == _FORTH
        table[target[forth], source[forth]] |= _BACK
        keys = source[forth] * len(inside) + target[forth]
        order = np.argsort(keys)
        return local, table, keys[order], np.minimum(rank[forth][order], _RANK - 1)


def _ranges(first: Ints, count: Ints) -> Ints:
    """first, first + 1, ... (count of them) of each range, one after another."""
    return np.arange(int(count.sum())) + np.repeat(first - (np.cumsum(count) - count), count)


def _groups(keys: Iterable[Iterable[str]]) -> list[list[int]]:
    """The words under each key, where there are more than one."""
    groups: dict[str, list[int]] = {}
    for word, own in enumerate(keys):
        for key in own:
            groups.setdefault(key, []).append(word)
    return [words for words in groups.values() if len(words) > 1]


def _related(groups: list[list[int]], kind: int, size: int) -> tuple[Ints, ...]:
    """Source, target, kind and rank of every two different words of a group, both ways."""
    keys = np.array([one * size + two for words in groups for one in words for two in words if one != two], np.int64)
    keys = np.unique(keys)
    return keys // size, keys % size, np.full(len(keys), kind), np.zeros(len(keys), np.int64)
