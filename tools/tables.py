"""Put the generated tables into the pages: rsvlm-mini's scores out of its result files, and all protocols.

`python tools/tables.py` writes; with `--check` it only says whether the pages are up to date (exit status 1 if not).
"""

import sys
from collections.abc import Callable
from pathlib import Path

from rsvlm.evaluate.benchmarks import BENCHMARKS, Protocol
from rsvlm.evaluate.report import markdown, report
from rsvlm.evaluate.ways import WAYS

ROOT = Path(__file__).resolve().parent.parent
SCORES = ROOT / "packages/rsvlm-mini/src/rsvlm_mini/scores"
GIVES = {
    "answers": "Words",
    "compares": "Words about two dates",
    "grounds": "Boxes",
    "segments": "Masks",
    "segments_change": "Masks of change",
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
            f"### {title}: a file of answers holds `{WAYS[ability].key}`",
            markdown(["protocol", "what", "split", "to quote", "rule"], rows),
        ]
    return "\n\n".join(parts)


def _row(protocol: Protocol) -> list[str]:
    rule = f"**legacy**: {protocol.legacy}" if protocol.legacy else protocol.dialect
    quoted = ", ".join(protocol.headline[:3]) + (", ..." if len(protocol.headline) > 3 else "")
    return [f"`{protocol.name}`", protocol.title, protocol.split, quoted, rule]


TABLES: dict[str, tuple[Callable[[], str], tuple[str, ...]]] = {
    "mini": (scores, ("README.md", "packages/rsvlm-mini/README.md")),
    "protocols": (protocols, ("docs/measuring.md",)),
}


def filled(page: str, name: str, table: str) -> str:
    """The page with the generated table between its marks."""
    begin, end = f"<!-- table:{name} -->", f"<!-- /table:{name} -->"
    before, rest = page.split(begin)
    return f"{before}{begin}\n{table}\n{end}{rest.split(end)[1]}"


def main() -> int:
    stale = False
    for name, (make, pages) in TABLES.items():
        table = make()
        for path in (ROOT / page for page in pages):
            page = path.read_text("utf-8")
            wanted = filled(page, name, table)
            if page == wanted:
                continue
            if "--check" in sys.argv:
                stale = True
                print(f"{path.relative_to(ROOT)} is not what tools/tables.py writes; run: python tools/tables.py")
            else:
                path.write_text(wanted, "utf-8")
    return int(stale)


if __name__ == "__main__":
    sys.exit(main())
