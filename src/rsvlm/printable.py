"""Text from files and servers made safe to print: what steers a terminal or turns the writing round is spelt out.

Whatever commands print goes through `say`, or through `printable` and `printable_json` where they print otherwise.
"""

import json
import sys


def printable(text: str) -> str:
    """`text` with control and formatting characters (escapes, bells, bidirectional overrides) as \\x1b or \\u202e.

    Line breaks stay.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one == "\n" else _spelt(one) for one in text)


def printable_json(text: str) -> str:
    """JSON text with the same characters as its escapes, also half a surrogate pair, which no stream takes."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in "\n\t" else json.dumps(one)[1:-1] for one in text)


def say(text: str, *, err: bool = False) -> None:
    """Print `printable` text on stdout, or stderr."""
    print(printable(text), file=sys.stderr if err else sys.stdout, flush=True)


def _spelt(one: str) -> str:
    if one.isspace():
        return " "  # a blank of another kind
    return f"\\x{ord(one):02x}" if ord(one) < 256 else f"\\u{ord(one):04x}"
