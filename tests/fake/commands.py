"""`rsvlm ask` as tests call it."""

from rsvlm.cli.show import answers_on_stdout
from rsvlm.serve.commands import run


def ask(paths, questions, *, model="mini", models=None, **settings):
    """What `rsvlm ask` does with one model, or with several."""
    with answers_on_stdout() as stream:
        run(paths, questions, stream=stream, models=[model] if models is None else models, **settings)
