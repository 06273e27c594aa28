"""Put the table of rsvlm-mini's scores, made from its result files, into README.md and the model card.

`python tools/tables.py` writes; with `--check` it only says whether the pages are up to date (exit status 1 if not).
"""

import sys
from pathlib import Path

from rsvlm.evaluate.report import report

ROOT = Path(__file__).resolve().parent.parent
SCORES = ROOT / "packages/rsvlm-mini/src/rsvlm_mini/scores"
PAGES = (ROOT / "README.md", ROOT / "packages/rsvlm-mini/README.md")
BEGIN, END = "<!-- table:mini -->", "<!-- /table:mini -->"


def filled(page: str) -> str:
    """The page with the generated table between its marks."""
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n{report([SCORES])}\n{END}{rest.split(END)[1]}"


def main() -> int:
    stale = [page for page in PAGES if filled(page.read_text("utf-8")) != page.read_text("utf-8")]
    for page in stale:
        if "--check" in sys.argv:
            print(f"{page.relative_to(ROOT)} is not what tools/tables.py writes; run: python tools/tables.py")
        else:
            page.write_text(filled(page.read_text("utf-8")), "utf-8")
    return int(bool(stale) and "--check" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
