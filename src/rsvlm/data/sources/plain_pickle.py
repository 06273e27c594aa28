"""Pickles of plain data (RefCOCO's `refs(unc).p`), read without ever running anything in them."""

import io
import pickle
from pathlib import Path
from typing import Any, NoReturn

from rsvlm.errors import BadInput
from rsvlm.lfs import refuse_pointer
from rsvlm.pickles import check_pickle


class _Plain(pickle.Unpickler):
    """Knows no class and no function: lists, tuples, dicts, sets, text and numbers are built without either."""

    def find_class(self, module_name: str, global_name: str, /) -> NoReturn:
        raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}")


def load_plain(path: Path) -> Any:
    """The lists, dicts, text and numbers in a pickle.

    Raises BadInput for one that names a class or function, which could run code here, and for a damaged one.
    """
    try:
        data = path.read_bytes()
        refuse_pointer(path, data)
        check_pickle(data, path)
        return _Plain(io.BytesIO(data), encoding="utf-8").load()
    except pickle.UnpicklingError as error:
        why = " ".join(str(error).split())
        raise BadInput(
            f"{path} is not a pickle of plain data ({why}); nothing in it was run: take the authors' file, or the "
            "same records as JSON."
        ) from error
    except (OSError, EOFError, ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise BadInput(f"{path} is damaged or no pickle ({type(error).__name__}: {error}); fetch it again.") from error
