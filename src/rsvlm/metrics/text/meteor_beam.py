"""METEOR 1.5's search for the best alignment, for thousands of pairs at once.

The search runs along the words of the reference and keeps 40 paths a pair. What it prefers (words covered, then fewer
chunks, then less distance, then the order of discovery) and its oddities are those of the original, because they
decide the score: stems and synonyms count nothing and paraphrases half while searching, and a path is charged the
distance of the matches that its siblings took before it, not of its own.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bits = NDArray[np.uint64]

_BEAM = 40
_ROOM = 2**63  # what one sorting key can hold


@dataclass(frozen=True, slots=True)
class Matches:
    """Possible matches of many pairs, sorted by pair, by `at`, then in the order in which METEOR finds them; all (M,).

    `length` words of the reference from `at` match `other_length` words of the candidate from `other`.
    """

    pair: Ints
    at: Ints
    length: Ints
    other: Ints
    other_length: Ints
    stage: Ints  # 0 exact, 1 stem, 2 synonym, 3 paraphrase

    def gain(self) -> Ints:
        """Words that a match counts in the search: halves are rounded down on each side."""
        return np.where(self.stage == 0, 2, self.length // 2 + self.other_length // 2)

    def masks(self, width: int) -> Bits:
        """The candidate's words in each match, as (M, width) bit sets of 64."""
        bits = np.zeros((len(self.pair), width), np.uint64)
        for k in range(int(self.other_length.max(initial=0))):
            chosen = np.flatnonzero(self.other_length > k)
            place = self.other[chosen] + k
            bits[chosen, place >> 6] |= np.uint64(1) << (place & 63).astype(np.uint64)
        return bits

    def settled(self, slots: Ints, stride: int) -> NDArray[np.bool_]:
        """Matches with no rival: alone at their start (`slots` counts), each of their words in no other match."""
        settled = slots[self.pair * stride + self.at] == 1
        for start, length in ((self.at, self.length), (self.other, self.other_length)):
            spans = [(np.flatnonzero(length > k), k) for k in range(int(length.max(initial=0)))]
            places = [(self.pair * stride + start + k)[rows] for rows, k in spans]
            cover = np.bincount(np.concatenate(places)) if places else np.zeros(0, np.int64)
            for (rows, _), place in zip(spans, places, strict=True):
                settled[rows] &= cover[place] == 1
        return settled


@dataclass(slots=True)
class _Paths:
    """Paths of all pairs; those of one pair stand together, in order of rank. `node` is the last free choice."""

    pair: Ints
    gain: Ints
    chunks: Ints
    distance: Ints
    end: Ints  # where the last match ended in the candidate; -1: no open chunk
    next: Ints  # the reference's word that comes after the last match
    node: Ints
    used: Bits
    tie: Ints  # order of discovery within the pair

    def take(self, which: Ints | NDArray[np.bool_]) -> "_Paths":
        return _Paths(*(getattr(self, name)[which] for name in self.__slots__))

    def join(self, other: "_Paths") -> "_Paths":
        return _Paths(*(np.concatenate([getattr(self, name), getattr(other, name)]) for name in self.__slots__))

    def best_first(self) -> tuple["_Paths", Ints]:
        """The paths in the beam, those of each pair sorted as METEOR sorts them, and the rank of each in its pair."""
        keys = (self.pair, self.gain.max(initial=0) - self.gain, self.chunks, self.distance, self.tie)
        sizes = [int(key.max(initial=0)) + 1 for key in keys]
        room = 1
        for size in sizes:
            room *= size
        if room < _ROOM:
            packed = keys[0]
            for key, size in zip(keys[1:], sizes[1:], strict=True):
                packed = packed * size + key
            order = np.argsort(packed)
        else:
            order = np.lexsort(keys[::-1])
        first = np.flatnonzero(np.diff(self.pair[order], prepend=-1))
        rank = np.arange(len(order)) - np.repeat(first, np.diff(first, append=len(order)))
        kept = rank < _BEAM
        return self.take(order[kept]), rank[kept]


@dataclass(frozen=True, slots=True)
class _Choices:
    """The matches laid out for the search: what starts at each slot, `pair * stride + word of the reference`."""

    found: Matches
    gain: Ints  # words that a match counts in the search
    cost: Ints
    masks: Bits
    stride: int
    counts: Ints
    starts: Ints
    fixed: Ints  # the settled match of a slot, or -1

    @classmethod
    def of(cls, found: Matches, pairs: int, stride: int, width: int) -> "_Choices":
        slot = found.pair * stride + found.at
        counts = np.bincount(slot, minlength=pairs * stride)
        settled = np.flatnonzero(found.settled(counts, stride))
        fixed = np.full(pairs * stride, -1)
        fixed[slot[settled]] = settled
        cost = np.abs(found.at - found.other)
        return cls(found, found.gain(), cost, found.masks(width), stride, counts, np.cumsum(counts) - counts, fixed)

    def extend(self, paths: _Paths, which: Ints, chosen: Ints) -> None:
        """Lengthen the paths `which` by the matches `chosen`."""
        other = self.found.other[chosen]
        paths.gain[which] += self.gain[chosen]
        paths.chunks[which] += (paths.end[which] != -1) & (other != paths.end[which])
        paths.end[which] = other + self.found.other_length[chosen]
        paths.next[which] = self.found.at[chosen] + self.found.length[chosen]

    def branch(self, paths: _Paths, rank: Ints, at: int) -> tuple[_Paths, _Paths, Ints]:
        """Go past word `at` of the references: new paths, the old ones gone on, and the match that each new one took.

        An old path is inside a match, takes a settled one, or passes over the word.
        """
        here = paths.pair * self.stride + at
        free = paths.next == at
        forced = np.flatnonzero(free & (self.fixed[here] >= 0))
        free[forced] = False
        options = np.where(free, self.counts[here], 0)
        parent = np.repeat(np.arange(len(free)), options)
        within = np.arange(len(parent)) - np.repeat(np.cumsum(options) - options, options)
        option = self.starts[here[parent]] + within
        unused = ~(paths.used[parent] & self.masks[option]).any(axis=1)
        parent, within, option = parent[unused], within[unused], option[unused]
        cost = self.cost[option]
        total = np.bincount(parent, cost, len(free)).astype(np.int64)
        room = int(options.max(initial=0)) + 1
        born = paths.take(parent)
        born.distance += np.cumsum(cost) - cost - (np.cumsum(total) - total)[parent]
        born.used |= self.masks[option]
        born.tie = rank[parent] * room + within
        self.extend(born, np.arange(len(parent)), option)
        self.extend(paths, forced, self.fixed[here[forced]])
        passed = np.flatnonzero(free)
        paths.chunks[passed] += paths.end[passed] != -1
        paths.end[passed] = -1
        paths.next[passed] = at + 1
        paths.distance += total
        paths.tie = rank * room + room - 1
        return born, paths, option


def search(found: Matches, pairs: int, lengths: Ints, width: int) -> tuple[Ints, Ints]:
    """The matches (indices) of the best alignment of each pair, and its number of chunks (pairs,).

    `lengths` (pairs,) are the words of the references; `width` is how many 64-bit words hold the words of the longest
    candidate.
    """
    longest = int(lengths.max(initial=0))
    choices = _Choices.of(found, pairs, max(longest, width * 64) + 1, width)
    zero = np.zeros(pairs, np.int64)
    paths = _Paths(
        np.arange(pairs), zero, zero.copy(), zero.copy(), zero - 1, zero.copy(), zero - 1,
        np.zeros((pairs, width), np.uint64), zero.copy(),
    )  # fmt: skip
    chunks, nodes = zero.copy(), zero - 1
    parents, taken, made = [nodes[:0]], [nodes[:0]], 0
    for at in range(longest + 1):
        paths, rank = paths.best_first()
        done = lengths[paths.pair] == at
        if done.any():
            _finish(paths.take(done), rank[done], chunks, nodes)
            paths, rank = paths.take(~done), rank[~done]
        born, paths, option = choices.branch(paths, rank, at)
        parents.append(born.node)
        taken.append(option)
        born.node = made + np.arange(len(option))
        made += len(option)
        paths = born.join(paths)
    chosen = [choices.fixed[choices.fixed >= 0]]
    parent, choice = np.concatenate(parents), np.concatenate(taken)
    while len(nodes := nodes[nodes >= 0]):
        chosen.append(choice[nodes])
        nodes = parent[nodes]
    return np.concatenate(chosen), chunks


def _finish(paths: _Paths, rank: Ints, chunks: Ints, nodes: Ints) -> None:
    """Close the last chunk of complete paths and note the best of each pair."""
    paths.chunks += paths.end != -1
    paths.tie = rank
    paths, rank = paths.best_first()
    best = rank == 0
    chunks[paths.pair[best]] = paths.chunks[best]
    nodes[paths.pair[best]] = paths.node[best]
