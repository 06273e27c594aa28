"""The command line. Every command imports what it needs when it runs, so that `rsvlm --help` answers at once.

A mistake of the user ends in one sentence on stderr and exit code 2; an interrupt (Ctrl-C) in exit code 130.
"""

import ctypes
import errno
import os
import sys
from typing import Annotated

import typer

from rsvlm.cli import archive, archive_search, compare, make, matching, measure, names, scenes, weights
from rsvlm.cli.scenes import split_arguments
from rsvlm.errors import RsvlmError
from rsvlm.printable import say

__all__ = ["app", "keep_freed_memory", "main", "split_arguments"]

app = typer.Typer(
    name="rsvlm",
    help="Ask questions of satellite and aerial scenes; train and evaluate the models that answer.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # a bug shows a plain traceback, without the values of local variables
    context_settings={"help_option_names": ["-h", "--help"]},
)
_COMPUTE = ("ask", "match", "embed", "index", "search", "knowledge", "train", "evaluate")  # commands that run a model


def main() -> None:
    """The `rsvlm` program: run the command, and put a user's mistake into one sentence on stderr with exit code 2."""
    try:
        app()
    except RsvlmError as error:
        _refuse(str(error))
    except OSError as error:
        if error.errno not in (errno.ENAMETOOLONG, errno.ELOOP):
            raise
        _refuse(f"No file can be found under the name {error.filename!r:.100} ({error.strerror}); give another path.")


def _refuse(sentence: str) -> None:
    say(f"rsvlm: {' '.join(sentence.split())}", err=True)
    sys.exit(2)


@app.callback(invoke_without_command=True)
def _door(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    if version:
        from rsvlm import __version__

        say(f"rsvlm {__version__}")
        raise typer.Exit
    if context.invoked_subcommand in _COMPUTE:
        keep_freed_memory()


def keep_freed_memory() -> bool:
    """Let glibc's malloc keep large freed blocks instead of returning them to the kernel; True where that was done.

    PyTorch frees and allocates the same large tensors at every step. By default each is mapped and zeroed anew, page by
    page, which costs time in every training step on a CPU. A user's own MALLOC_ settings are left alone.
    """
    if not sys.platform.startswith("linux") or any(key.startswith("MALLOC_") for key in os.environ):
        return False
    largest = 2**31 - 1  # mallopt takes a C int
    trim_threshold, mmap_threshold, mmap_max = -1, -3, -4  # M_* of <malloc.h>
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # musl has none
        return False
    # Some versions of glibc refuse a threshold above 32 MiB: there, no block at all gets a mapping of its own.
    return bool(mallopt(trim_threshold, largest) and (mallopt(mmap_threshold, largest) or mallopt(mmap_max, 0)))


for _act in (
    scenes.ask,
    scenes.info,
    compare.compare,
    matching.match,
    matching.embed,
    archive.index,
    archive_search.search,
    make.train,
    measure.evaluate,
    measure.questions,
    measure.score,
    measure.report,
    measure.lmms_pack,
    make.convert,
    make.knowledge,
    make.setup,
):
    app.command()(_act)
app.command("list")(names.list_names)
app.add_typer(archive.app, name="archive")
app.add_typer(weights.app, name="weights")
