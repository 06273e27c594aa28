"""No circle of files: whoever reads one file need not have read it before. Imports inside functions count, too.

Imports for type checkers only are left out: nothing happens at them.
"""

import sys

import grimp
import networkx


def circles(package: str = "rsvlm") -> list[list[str]]:
    """The modules of each circle of imports in a package, by name; an empty list is a pass."""
    graph = grimp.build_graph(package, exclude_type_checking_imports=True, cache_dir=None)
    arrows = networkx.DiGraph(
        (module, imported)
        for module in graph.modules
        for imported in graph.find_modules_directly_imported_by(module)
        if not graph.find_children(imported)  # a package's __init__ is read before whatever lies in it
    )
    return sorted(sorted(group) for group in networkx.strongly_connected_components(arrows) if len(group) > 1)


def main() -> None:
    found = circles()
    print("\n".join(f"circle: {', '.join(group)}" for group in found) or "Imports: no circle of files.")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
