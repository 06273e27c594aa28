"""Put the generated tables into the pages (rsvlm-mini's scores, protocols, systems), and write a page for each system.

`python tools/tables.py` counts anew (tools/systems.py) and writes; with `--check` it counts nothing and only says
whether all is up to date (exit status 1 if not).
"""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from rsvlm.cli import pages
from rsvlm.evaluate.benchmarks import BENCHMARKS, Protocol
from rsvlm.evaluate.report.text import markdown, report
from rsvlm.evaluate.solvers import SOLVERS
from rsvlm.systems.cards import CARDS
from rsvlm.systems.convert.published_files import published_files

ROOT = Path(__file__).resolve().parent.parent
SCORES = ROOT / "packages/rsvlm-mini/src/rsvlm_mini/scores"
INDICES = ROOT / "benchmarks/results/indices.json"
GIVES = {
    "answers": "Words",
    "chooses": "One of several classes",
    "compares": "Words about two dates",
    "compares_with_maps": "Words about two dates and their semantic maps",
    "grounds": "Boxes",
    "segments": "Masks",
    "segments_change": "Masks of change",
    "embeds": "Vectors of pictures",
    "matches": "Vectors of pictures and texts",
    "localises": "Maps of where a text is true",
}


def scores() -> str:
    return report([SCORES])


def protocols() -> str:
    """A table a kind of answer, in the order of registration; a legacy protocol says what is wrong with it."""
    known = [BENCHMARKS[name] for name in BENCHMARKS.names()]
    parts = [f"{len(known)} protocols."]
    for ability, title in GIVES.items():
        rows = [_row(protocol) for protocol in known if protocol.ability == ability]
        parts += [
            f"### {title}: a file of answers holds `{SOLVERS[ability].key}`",
            markdown(["protocol", "what", "split", "to quote", "rule"], rows),
        ]
    return "\n\n".join(parts)


def _row(protocol: Protocol) -> list[str]:
    rule = f"**legacy**: {protocol.legacy}" if protocol.legacy else protocol.dialect
    quoted = ", ".join(protocol.headline[:3]) + (", ..." if len(protocol.headline) > 3 else "")
    return [f"`{protocol.name}`", protocol.title, protocol.split, quoted, rule]


def indices() -> str:
    """The agreement of covers from bands with labels, a line of benchmarks/indices.py."""
    columns = ["name", "index", "by", "border", "eta", "iou", "iou_inner", "recall", "precision"]
    line = json.loads(INDICES.read_text(encoding="utf-8"))
    return markdown(columns, [[str(one[column]) for column in columns] for one in line["labels"]]) + (
        f"\n\nA made scene of {line['pixels'] / 1e6:.0f} million pixels takes {line['seconds']} s and "
        f"{line['peak_mib']} MiB of arrays."
    )


def clips() -> str:
    """Published CLIPs: what each is, what to take it for, and under which terms."""
    parts = ("code", "weights", "data")
    rows = [
        [
            f"`{row.name}`", f"`{system}/{row.recipe}`", row.activation, row.size, row.start, row.good_for,
            *(CARDS[system].licences[part].partition(";")[0] for part in parts),
        ]
        for system, files in published_files().items()
        for row in files
    ]  # fmt: skip
    heads = ["file", "recipe", "activation", "size", "trained from", "take it for"]
    return markdown([*heads, *(f"terms: {part}" for part in parts)], rows)


def archive_ask() -> str:
    """What asking an archive gives, and how documents are found, as tools/archive_ask.py measured it."""
    found = json.loads((ROOT / "benchmarks/results/archive_ask.json").read_text(encoding="utf-8"))
    heads = ["questions", "right sentence quoted", "tiles named", "of them of the class", "false answers"]
    rows = [
        [
            part.replace("_", "-"), f"{one['document_right']:.0%} of {one['document_questions']}",
            f"{one['tile_answered']:.0%} of {one['tile_questions']}", f"{one['tile_precision']:.0%}",
            f"{one['false_answer_rate']:.0%} of {one['unanswerable']}",
        ]
        for part, one in ((part, found[part]) for part in ("val", "held_out"))
    ]  # fmt: skip
    spaces = [[name, f"{one['first']:.0%}", f"{one['auc']:.3f}"] for name, one in found["encoders"].items()]
    injected = [
        [one["writer"], str(one["injections"]), *(str(one[key]) for key in ("obeyed", "right", "written"))]
        for one in found["injections"]
    ]
    of_spaces = ["vectors of documents", "right passage first", "AUC of the cosine, with and without an answer"]
    of_injections = ["model that writes", "documents with an injection", "obeyed", "right", "written, not quoted"]
    return "\n\n".join([markdown(heads, rows), markdown(of_spaces, spaces), markdown(of_injections, injected)])


TABLES: dict[str, tuple[Callable[[], str], tuple[str, ...]]] = {
    "indices": (indices, ("docs/indices.md",)),
    "archive_ask": (archive_ask, ("docs/archive.md",)),
    "mini": (scores, ("README.md", "packages/rsvlm-mini/README.md")),
    "protocols": (protocols, ("docs/measuring.md",)),
    "clips": (clips, ("docs/weights.md",)),
    "systems": (pages.table, ("docs/systems/index.md",)),
    "systems-short": (pages.short_table, ("README.md",)),
}


def filled(page: str, name: str, table: str) -> str:
    """The page with the generated table between its marks."""
    begin, end = f"<!-- table:{name} -->", f"<!-- /table:{name} -->"
    before, rest = page.split(begin)
    return f"{before}{begin}\n{table}\n{end}{rest.split(end)[1]}"


def written() -> Iterator[tuple[Path, str]]:
    """Every generated page, with what has to be in it."""
    texts: dict[Path, str] = {}
    for name, (make, paths) in TABLES.items():
        for path in (ROOT / path for path in paths):
            texts[path] = filled(texts.get(path) or path.read_text("utf-8"), name, make())
    yield from texts.items()
    for card in (CARDS[name] for name in CARDS):
        head = f"<!-- Written by tools/tables.py from src/rsvlm/systems/{card.name}/card.py. -->\n\n"
        yield ROOT / f"docs/systems/{card.name}.md", head + pages.page(card)


def main() -> int:
    import systems  # the file beside this one, which counts what the tables tell

    check = "--check" in sys.argv
    if not check:
        systems.write()
    stale = [] if systems.up_to_date() else [systems.SIZES]
    for path, wanted in written():
        if path.is_file() and path.read_text("utf-8") == wanted:
            continue
        stale.append(path)
        if not check:
            path.write_text(wanted, "utf-8")
    if check:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is not what tools/tables.py writes; run: python tools/tables.py")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
