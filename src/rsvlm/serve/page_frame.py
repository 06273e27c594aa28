"""The frame of the page of several models: its style, and the rules that switches follow without a script.

The page is one file that loads nothing and runs nothing: its content security policy forbids both, so that a reply
with a tag in it stays words. Switches are check boxes and radio buttons that CSS reads (`:has`).
"""

from rsvlm.html import page

# Okabe and Ito's colours, told apart by every kind of sight; bright ones first, which show on imagery.
COLOURS = ("#e69f00", "#56b4e9", "#cc79a7", "#f0e442", "#009e73", "#d55e00", "#0072b2")
DASHES = ("", "10 4", "4 3", "14 3 3 3")  # and not by colour alone

# As it stands, without the rules of switches, also of the page of a search (`rsvlm.serve.archive_page`).
STYLE = """
:root { color-scheme: light; --line: #d8d8d8; --quiet: #5a5a5a; --ink: #1c1c1c; --wide: 76rem }
* { box-sizing: border-box }
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: #fff; margin: 0 auto; padding: 1rem;
  max-width: var(--wide) }
h1 { font-size: 1.4rem; margin: 0; overflow-wrap: anywhere } h2 { font-size: 1.15rem; margin: 0 }
h3 { font-size: .95rem; margin: 0; overflow-wrap: anywhere }
.quiet { color: var(--quiet); font-size: 13px } .under { margin: .2rem 0 1rem }
.controls { display: flex; flex-wrap: wrap; gap: .4rem 1.2rem; margin: .5rem 0; padding: 0; border: 0;
  min-width: 0 }
.controls legend { float: left; padding: 0; margin-right: .2rem; color: var(--quiet) }
.controls label { display: inline-flex; align-items: center; gap: .35rem; overflow-wrap: anywhere; cursor: pointer }
input { accent-color: #333; width: 1.05rem; height: 1.05rem; margin: 0; flex: none }
:focus-visible { outline: 3px solid #1f5fbf; outline-offset: 2px }
.key { width: 1.9rem; height: .9rem; flex: none; background: #444; border-radius: 2px }
.map { display: block; width: 100%; height: auto; margin: auto; border-radius: 4px }
.map path, .map rect { vector-effect: non-scaling-stroke; fill: none }
.rim { stroke: #000; stroke-opacity: .75 } .mark .rim { stroke-width: 5 } .mark .edge { stroke-width: 2.5 }
.area .edge { fill-opacity: .07 } .mark:hover .edge { stroke-width: 5 }
.mark text { font-weight: 600; pointer-events: none; fill: #fff; stroke: #000; stroke-width: .22em;
  paint-order: stroke }
@media (max-width: 40rem) { .mark text { display: none } }
.tile { stroke: #fff; stroke-opacity: .55; stroke-width: 1; pointer-events: none }
.tile:target { stroke-opacity: 1; stroke-width: 5; fill: #fff; fill-opacity: .25 }
.scene:has(#tiles:not(:checked)) .tile:not(:target) { display: none }
section { margin-top: 1.6rem; border-top: 1px solid var(--line); padding-top: 1rem }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 17rem), 1fr)); gap: .9rem;
  margin: .7rem 0 }
.card { border: 1px solid var(--line); border-top: .45rem solid; border-radius: 4px; padding: .7rem .8rem;
  min-width: 0 }
.answer { font-size: 1.15rem; font-weight: 600; margin: .35rem 0; overflow-wrap: anywhere; white-space: pre-line }
.answer.long { font-size: 1rem }
.failed { background: #fff1d6; padding: .5rem .6rem; margin: .35rem 0; overflow-wrap: anywhere }
.sure { height: .5rem; background: #e6e6e6; border-radius: 2px; margin: .15rem 0 .35rem } .sure div { height: 100%;
  background: #555; border-radius: 2px }
details { margin: .4rem 0 } summary { cursor: pointer; padding: .15rem 0 }
.wide { overflow-x: auto; max-height: 32rem; overflow-y: auto }
table { border-collapse: collapse; font-size: 13.5px; width: 100% }
td, th { text-align: left; vertical-align: top; padding: .28rem .8rem .28rem 0; overflow-wrap: break-word }
tr + tr td, tbody tr:first-child td { border-top: 1px solid var(--line) }
.origin td { overflow-wrap: anywhere }
.tiles th, .tiles td { min-width: 9rem } .tiles th:first-child, .tiles td:first-child { min-width: 4.5rem }
.tiles thead th { position: sticky; top: 0; background: #fff; border-bottom: 1px solid #999 }
.tiles tr.other td { background: #fff6e0 } .number { white-space: nowrap; font-variant-numeric: tabular-nums }
a { color: #1a4f9c }
@media print { .controls { display: none } .wide { max-height: none } }
"""


def frame(title: str, body: str, *, models: int, questions: int) -> str:
    """A whole page. Switches have the ids m0, m1, ... (models) q0, q1, ... (questions), which are classes of marks."""
    rules = [f".scene:has(#m{at}:not(:checked)) .mark.m{at} {{ display: none }}" for at in range(models)]
    rules += [f".scene:has(#q{at}:checked) .mark:not(.q{at}) {{ display: none }}" for at in range(questions)]
    for at in range(questions):
        rules.append(f"section:has(#d{at}:checked) tr.same {{ display: none }}")
    for at in range(models):
        dash = DASHES[at % len(DASHES)]
        rules.append(f".m{at} {{ border-top-color: {colour(at)} }}")
        rules.append(f".area.m{at} .edge {{ fill: {colour(at)} }}")
        rules.append(f".mark.m{at} .edge {{ stroke: {colour(at)}; stroke-dasharray: {dash or 0} }}")
    return page(title, body, style=f"{STYLE}{chr(10).join(rules)}\n")


def colour(at: int) -> str:
    """The colour of the model of that number."""
    return COLOURS[at % len(COLOURS)]


def key(at: int) -> str:
    """The line that the model's marks have, as a small picture."""
    return (
        '<svg class="key" viewBox="0 0 30 14" aria-hidden="true"><path d="M2 7H28" fill="none" '
        f'stroke="{colour(at)}" stroke-width="4" stroke-dasharray="{DASHES[at % len(DASHES)]}"/></svg>'
    )
