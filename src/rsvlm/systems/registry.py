"""The systems that are here, found by a look into the folders of this package: adding one edits no list.

A system is a folder with model.py, whose class registers itself: `@SYSTEMS("lhrs_bot")`. Its name is the folder's.
Names need no PyTorch; a class is imported when it is asked for.
"""

from typing import TYPE_CHECKING

from rsvlm.systems.discovery import FolderRegistry

if TYPE_CHECKING:
    from rsvlm.parts.system import System

SYSTEMS: "FolderRegistry[type[System]]" = FolderRegistry("system", "model")
