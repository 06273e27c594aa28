"""What every HTML page here is made of: text that stays text, and a shell that loads nothing. Standard library only.

A page is one file. Its content security policy forbids loading anything and running any script but the page's own, so
that a reply with a tag in it stays what it is even where escaping were forgotten.
"""

import base64
import hashlib
from html import escape as _escape


def escape(text: object) -> str:
    """Any text as HTML shows it: no tag, no end of an attribute, no half of a surrogate pair, which no file takes."""
    return _escape(str(text).encode("utf-8", "backslashreplace").decode("utf-8"))


def page(title: str, body: str, *, style: str, script: str = "") -> str:
    """A self-contained page; `body`, `style` and `script` are HTML, CSS and JavaScript as they stand."""
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    if script:
        allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
        policy += f"; script-src 'sha256-{allowed}'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(title)}</title>'
        f"<style>{style}</style></head>\n<body>\n{body}\n"
        + (f"<script>{script}</script>" if script else "")
        + "</body></html>\n"
    )
