"""What a run that was killed left aside is removed by the next one; what a living one writes, or a user has, is not."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from rsvlm.files import atomic_file, atomic_folder, new_part, remove_leftovers, remove_part

WRITES = """
import sys, time
from pathlib import Path
from rsvlm import files
with getattr(files, sys.argv[1])(Path(sys.argv[2])) as part:
    (part / "half" if part.is_dir() else part).write_text("half")
    print(part.name, flush=True)
    time.sleep(60)
"""


def writing(kind, path):
    """A process that has begun to write `path`, and the name of what it writes to."""
    process = subprocess.Popen([sys.executable, "-c", WRITES, kind, str(path)], stdout=subprocess.PIPE, text=True)
    return process, process.stdout.readline().strip()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def end(process, how=signal.SIGKILL):
    process.send_signal(how)
    process.wait()
    process.stdout.close()


def write(kind, path):
    with {"atomic_file": atomic_file, "atomic_folder": atomic_folder}[kind](path) as part:
        (part / "whole" if part.is_dir() else part).write_text("whole")


@pytest.mark.parametrize("kind", ["atomic_file", "atomic_folder"])
def test_a_killed_run_is_cleared_away_and_a_living_one_is_not(tmp_path, kind):
    out = tmp_path / "model.v1"
    dead, left = writing(kind, out)
    alive, used = writing(kind, out)
    assert {left, used} <= set(names(tmp_path)) and left.startswith(".model.v1.") and left.endswith(".part")
    end(dead)
    try:
        write(kind, out)
        assert names(tmp_path) == sorted([used, "model.v1"])
    finally:
        end(alive)
    write(kind, out)
    assert names(tmp_path) == ["model.v1"]


def test_only_what_has_the_name_of_a_part_is_removed(tmp_path):
    kept = [
        ".out.txt.part", ".out.part", ".other.abcd1234.part", ".out.v2.abcd1234.part", ".out.abcd1234",
        "out.abcd1234.part", ".out.ABCD1234.part", ".out.abcd12345.part", "xout.abcd1234.part", ".outx.abcd1234.part",
    ]  # fmt: skip
    for name in kept:
        (tmp_path / name).write_text("mine")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").write_text("mine")
    (tmp_path / ".out.abcd1234.part").symlink_to(tmp_path / "elsewhere")
    (tmp_path / ".out.abcd1235.part").write_text("left")
    (tmp_path / ".out.abcd1236.part").mkdir()
    assert [path.name for path in remove_leftovers(tmp_path, "out")] == [".out.abcd1235.part", ".out.abcd1236.part"]
    assert names(tmp_path) == sorted([*kept, "elsewhere", ".out.abcd1234.part"])
    assert (tmp_path / "elsewhere" / "file").read_text() == "mine"


def test_writers_of_one_name_at_once_leave_each_other_alone(tmp_path):
    failed = []

    def writes(number):
        try:
            for _ in range(10):
                with atomic_file(tmp_path / "out") as part:
                    part.write_text(str(number))
        except OSError as error:
            failed.append(error)

    threads = [threading.Thread(target=writes, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed and names(tmp_path) == ["out"]


def test_a_folder_that_somebody_locks_is_waited_for_a_moment_only(tmp_path):
    held = os.open(tmp_path, os.O_RDONLY)
    import fcntl

    fcntl.flock(held, fcntl.LOCK_EX)
    (tmp_path / ".out.abcd1234.part").write_text("left")
    remove_part(*new_part(tmp_path, "out", folder=False))
    assert names(tmp_path) == [".out.abcd1234.part"]  # nobody can say whose it is
    os.close(held)


def test_what_an_exception_ends_is_removed_too(tmp_path):
    for kind in (atomic_file, atomic_folder):
        with pytest.raises(KeyboardInterrupt), kind(tmp_path / "out"):
            raise KeyboardInterrupt
    assert names(tmp_path) == []
