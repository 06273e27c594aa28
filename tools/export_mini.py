"""Writes the ONNX graphs of rsvlm-mini into its package: `python tools/export_mini.py`, after `rsvlm setup`."""

import shutil
import tempfile
from pathlib import Path

from rsvlm.systems.onnx.export import export

PACKAGE = Path(__file__).parents[1] / "packages" / "rsvlm-mini" / "src" / "rsvlm_mini"


def main() -> None:
    """Export aside, then put the graphs in the place of the old ones."""
    with tempfile.TemporaryDirectory() as work:
        export(PACKAGE, Path(work) / "onnx")
        shutil.copytree(Path(work) / "onnx", PACKAGE / "onnx", dirs_exist_ok=True)


if __name__ == "__main__":
    main()
