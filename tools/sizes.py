"""Small by ratchet: files, functions and lines have limits, every public thing a docstring, and exceptions only shrink.

Limits: a file of the package 300 lines, any other 400, a system's model.py 150, a function 60, a line 120 characters.
An exception is a line `path limit` or `path::function limit` in sizes_allowed.txt. It must say the present size
exactly, so that whatever gets smaller can not grow back, and it must go once it is no longer needed.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

SOURCE, FILE, SYSTEM, FUNCTION, LINE = 300, 400, 150, 60, 120
FOLDERS = ("src", "tests", "tools", "benchmarks", "examples", "packages")
ALLOWED = "tools/sizes_allowed.txt"


def problems(root: Path) -> list[str]:
    """Every breach under `root`, one sentence each; an empty list is a pass."""
    allowed = _allowed(root / ALLOWED)
    found, used = [], set()
    for path in sorted(file for folder in FOLDERS for file in (root / folder).rglob("*.py")):
        name = path.relative_to(root).as_posix()
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text, name)
        for what, size, limit in _sizes(name, text, tree):
            if size <= limit:
                continue
            used.add(what)
            if what not in allowed:
                found.append(f"{what} has {size} lines, the limit is {limit}: split it")
            elif size > allowed[what]:
                found.append(f"{what} has grown from {allowed[what]} to {size} lines: split it")
            elif size < allowed[what]:
                found.append(f"{what} has shrunk to {size} lines: lower its entry in {ALLOWED} from {allowed[what]}")
        found += [
            f"{name}:{number} has {len(line)} characters, the limit is {LINE}"
            for number, line in enumerate(text.splitlines(), 1)
            if len(line) > LINE
        ]
        if name.startswith("src/"):
            found += [f"{name}: {thing} has no docstring" for thing in _undocumented(tree)]
    return found + [
        f"{what} is within the limits: remove its entry from {ALLOWED}" for what in sorted(allowed.keys() - used)
    ]


def _allowed(path: Path) -> dict[str, int]:
    lines = (line.partition("#")[0].split() for line in path.read_text(encoding="utf-8").splitlines())
    return {line[0]: int(line[1]) for line in lines if line}


def _sizes(name: str, text: str, tree: ast.Module) -> Iterator[tuple[str, int, int]]:
    """(what, its lines, its limit) for the file and for every function in it."""
    limit = SYSTEM if re.search(r"/systems/\w+/model\.py$", name) else SOURCE if name.startswith("src/") else FILE
    yield name, len(text.splitlines()), limit
    for scope, node in _walk(tree, ""):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{name}::{scope}", (node.end_lineno or node.lineno) - node.lineno + 1, FUNCTION


def _walk(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.AST]]:
    """Classes and functions with their dotted names, at any depth."""
    for child in ast.iter_child_nodes(node):
        named = isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        scope = f"{prefix}{child.name}" if named else prefix.removesuffix(".")
        if named:
            yield scope, child
        yield from _walk(child, f"{scope}." if scope else "")


def _undocumented(tree: ast.Module) -> Iterator[str]:
    if tree.body and not ast.get_docstring(tree):
        yield "the module"
    yield from _bare(tree.body, "")


def _bare(body: list[ast.stmt], prefix: str) -> Iterator[str]:
    """Public classes, functions and methods without a docstring; what lies inside a function is not public."""
    for node in body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        same_as_base = any(
            "override" in ast.unparse(mark) or "overload" in ast.unparse(mark) for mark in node.decorator_list
        )
        if not (ast.get_docstring(node) or same_as_base or node.name == "forward"):
            yield f"{prefix}{node.name}"
        if isinstance(node, ast.ClassDef):
            yield from _bare(node.body, f"{prefix}{node.name}.")


def main() -> None:
    root = Path(__file__).resolve().parents[1]
    found = problems(root)
    print("\n".join(found) or "Sizes and docstrings: all within the limits.")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
