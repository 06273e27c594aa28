"""The errors a user sees: one sentence each (what was found, what was expected, what to do); the CLI exits with 2."""


class RsvlmError(Exception):
    """Any failure the user can mend. The text is one plain sentence."""


class BadInput(RsvlmError):
    """A file, name or value is not what the act needs."""


class MissingPart(RsvlmError):
    """A package, model file or data set is not on this machine; the text says how to get it."""


def missing_extra(package: str, extra: str) -> MissingPart:
    """The sentence for an import that failed because an extra of the package is not installed."""
    return MissingPart(f"The Python package {package!r} is not installed; run: pip install 'rsvlm[{extra}]'")
