"""Which runtime a folder with graphs has: one that matches, marks changes, does both, or only answers and detects."""

from pathlib import Path
from typing import Any

from rsvlm.files import read_json
from rsvlm.systems.onnx.change import OnnxChangeChat
from rsvlm.systems.onnx.chat import OnnxChat
from rsvlm.systems.onnx.matching import OnnxMatchingChat
from rsvlm.systems.onnx.session import GRAPHS

# A graph of the folder -> what it adds to an `OnnxChat`.
ADDED = {"match_text": OnnxMatchingChat, "change": OnnxChangeChat}


def open_model(folder: Path, name: str) -> OnnxChat:
    """The model in a folder with graphs. Raises as `rsvlm.systems.load.load`."""
    graphs = read_json(folder / "onnx" / GRAPHS)["weights"]
    bases: Any = tuple(kind for graph, kind in ADDED.items() if graph in graphs)
    return (bases[0] if len(bases) == 1 else type("HeadedModel", bases, {}) if bases else OnnxChat)(folder, name)
