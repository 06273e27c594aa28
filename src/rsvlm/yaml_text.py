"""YAML that cannot grow: aliases are counted as what they repeat before anything is made of them."""
# PyYAML has no types for its nodes.
# pyright: basic

from typing import Any

import yaml

_MOST_NODES = 100_000  # values of a recipe; the longest shipped one has some 200


def load_yaml(text: str) -> Any:
    """The values of YAML text. Raises YAMLError for aliases that would grow to more than `_MOST_NODES` values."""
    node: Any = yaml.compose(text, yaml.SafeLoader)
    if node is not None and _grown(node, {}) > _MOST_NODES:
        raise yaml.YAMLError(f"its aliases stand for more than {_MOST_NODES:,} values")
    return yaml.safe_load(text)


def _grown(node: Any, known: dict[int, int]) -> int:
    """How many values a YAML node stands for, each alias counted as what it repeats; too many for one in itself."""
    if id(node) not in known:
        known[id(node)] = _MOST_NODES + 1
        inner = node.value if isinstance(node.value, list) else []
        children = [one for pair in inner for one in (pair if isinstance(pair, tuple) else (pair,))]
        known[id(node)] = 1 + sum(_grown(child, known) for child in children)
    return known[id(node)]
