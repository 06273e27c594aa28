"""Text from files and servers made safe to print: what steers a terminal or turns the writing round is spelt out."""


def printable(text: str) -> str:
    """`text` with control and formatting characters (escapes, bells, bidirectional overrides) as \\x1b or \\u202e.

    Line breaks stay.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one == "\n" else _spelt(one) for one in text)


def _spelt(one: str) -> str:
    if one.isspace():
        return " "  # a blank of another kind
    return f"\\x{ord(one):02x}" if ord(one) < 256 else f"\\u{ord(one):04x}"
