"""A search as one HTML page: a map of the tiles that were found, and beside it a card each. It loads nothing.

The page's only script moves the map and shows the thumbnails in their places; without it everything is there, still.
"""

from rsvlm.html import escape
from rsvlm.html import page as shell
from rsvlm.serve.archive_map import svg_map
from rsvlm.serve.archive_result import FoundTile, SearchResult, picture_url
from rsvlm.serve.page_frame import STYLE
from rsvlm.serve.scene_facts import format_lonlat

_LONGEST = 400  # letters of a caption

_OWN_STYLE = """
.found { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 1rem; align-items: start }
.found.off { display: block }
.where { position: sticky; top: .5rem } .earth { border: 1px solid #9aa; background: #f3f6f7; touch-action: pan-y;
  max-height: 80vh; --u: 1 }
#net path { stroke: #b9c4c8; stroke-width: 1; vector-effect: non-scaling-stroke }
#net text { fill: #5a666b; font-size: calc(var(--u) * 11px) }
.hit path { fill: #0072b2; fill-opacity: .12; stroke: #0072b2; stroke-width: 2 }
.hit circle { fill: #0072b2; stroke: #fff; stroke-width: 1.5; vector-effect: non-scaling-stroke;
  r: calc(var(--u) * 10px) }
.hit text { fill: #fff; font-weight: 600; text-anchor: middle; font-size: calc(var(--u) * 11px) }
.doubted path { stroke: #8a5a00; stroke-dasharray: 5 3; fill: #8a5a00 } .doubted circle { fill: #8a5a00 }
.hit:hover path, .hit:target path, .hit.on path { stroke-width: 5 }
.hit:target circle, .hit.on circle { stroke: #000; stroke-width: 3 }
.bar { display: none; gap: .4rem; margin: .4rem 0 } .bar.on { display: flex; flex-wrap: wrap }
button { font: inherit; padding: .15rem .6rem }
.found .cards { margin: 0; grid-template-columns: repeat(auto-fill, minmax(min(100%, 13rem), 1fr)) }
.found .card { border-top-color: #0072b2; scroll-margin-top: 1rem } .card.doubt { border-top-color: #8a5a00 }
.card:target { outline: 3px solid #1f5fbf }
.card img, .card .none { width: 100%; aspect-ratio: 1; object-fit: contain; background: #eee; display: block;
  margin-bottom: .4rem }
.card dl { margin: .3rem 0; font-size: 13px; display: grid; grid-template-columns: auto minmax(0, 1fr); gap: 0 .6rem }
.card dt { color: var(--quiet) } .card dd { margin: 0; overflow-wrap: anywhere }
.why { background: #fff1d6; padding: .3rem .5rem; margin: .3rem 0; font-size: 13px }
ul.notes { background: #fff1d6; padding: .6rem .8rem .6rem 2rem; margin: .6rem 0 1rem }
@media (max-width: 50rem) { .found { display: block } .where { position: static; margin-bottom: 1rem } }
"""

_SCRIPT = """
const map = document.getElementById('map'), net = document.getElementById('net');
if (map) {
  const d = map.dataset, whole = map.viewBox.baseVal, all = [whole.x, whole.y, whole.width, whole.height];
  let view = [...all], drag = null, moved = 0;
  const steps = [90, 45, 30, 20, 10, 5, 2, 1], svg = 'http://www.w3.org/2000/svg';
  function step(span) {
    for (let power = 1; ; power /= 10) for (const one of power == 1 ? steps : [5, 2, 1])
      if (one * power * 5 <= span) return one * power;
  }
  function add(name, set, text) {
    const one = document.createElementNS(svg, name);
    for (const key in set) one.setAttribute(key, set[key]);
    if (text) one.textContent = text;
    net.append(one);
  }
  function draw() {
    const box = map.getBoundingClientRect(), u = Math.max(view[2] / box.width, view[3] / box.height);
    map.setAttribute('viewBox', view.join(' '));
    map.style.setProperty('--u', u);
    for (const one of map.querySelectorAll('.hit text')) one.setAttribute('font-size', 11 * u);
    net.replaceChildren();
    const s = step(Math.max(view[2] / d.x, view[3] / d.y)), digits = Math.max(0, -Math.floor(Math.log10(s) + 1e-9));
    const west = +d.west + view[0] / d.x, north = +d.north - view[1] / d.y;
    for (let n = Math.ceil(west / s); n * s <= west + view[2] / d.x; n++) {
      const x = (n * s - d.west) * d.x, lon = ((n * s + 180) % 360 + 360) % 360 - 180;
      add('path', {d: `M${x},${view[1]}v${view[3]}`});
      add('text', {x: x + 4 * u, y: view[1] + view[3] - 6 * u},
          Math.abs(lon).toFixed(digits) + '\\u00b0 ' + (lon > 0 ? 'E' : lon < 0 ? 'W' : ''));
    }
    for (let n = Math.ceil((north - view[3] / d.y) / s); n * s <= north; n++) if (Math.abs(n * s) <= 90) {
      const y = (d.north - n * s) * d.y;
      add('path', {d: `M${view[0]},${y}h${view[2]}`});
      add('text', {x: view[0] + 4 * u, y: y - 4 * u},
          Math.abs(n * s).toFixed(digits) + '\\u00b0 ' + (n > 0 ? 'N' : n < 0 ? 'S' : ''));
    }
  }
  function at(event) {
    const p = new DOMPoint(event.clientX, event.clientY).matrixTransform(map.getScreenCTM().inverse());
    return [p.x, p.y];
  }
  function zoom(by, x = view[0] + view[2] / 2, y = view[1] + view[3] / 2) {
    by = Math.max(by, 1e-6 * all[2] / view[2]); by = Math.min(by, all[2] / view[2]);
    view = [x - (x - view[0]) * by, y - (y - view[1]) * by, view[2] * by, view[3] * by];
    if (view[2] >= all[2] * .9999) view = [...all];
    draw();
  }
  function show(mark) {
    for (const one of map.querySelectorAll('.on')) one.classList.remove('on');
    mark.classList.add('on');
    mark.parentNode.append(mark);
    const box = mark.querySelector('path').getBBox();
    const side = Math.min(all[2], 6 * Math.max(box.width, box.height * all[2] / all[3])), high = side * all[3] / all[2];
    view = [box.x + (box.width - side) / 2, box.y + (box.height - high) / 2, side, high];
    draw();
  }
  map.addEventListener('wheel', e => {
    e.preventDefault();
    zoom(e.deltaY > 0 ? 1.25 : .8, ...at(e));
  }, {passive: false});
  map.addEventListener('pointerdown', e => { drag = at(e); moved = 0; });
  addEventListener('pointerup', () => { drag = null; });
  map.addEventListener('pointermove', e => {
    if (!drag) return;
    const now = at(e), u = view[2] / map.getBoundingClientRect().width;
    moved += Math.hypot(now[0] - drag[0], now[1] - drag[1]) / u;
    view[0] += drag[0] - now[0]; view[1] += drag[1] - now[1];
    draw();
  });
  map.addEventListener('click', e => { if (moved > 4) e.preventDefault(); }, true);
  map.addEventListener('dragstart', e => e.preventDefault());
  for (const link of document.querySelectorAll('a.go')) link.addEventListener('click', e => {
    e.preventDefault(); show(document.getElementById(link.hash.slice(1)));
  });
  for (const picture of document.querySelectorAll('.card img')) {
    const mark = document.getElementById('f' + picture.closest('.card').id.slice(1));
    if (mark) mark.querySelector('image').setAttribute('href', picture.src);
  }
  for (const [id, act] of [['in', () => zoom(.6)], ['out', () => zoom(1.67)], ['all', () => zoom(Infinity)]])
    document.getElementById(id).addEventListener('click', act);
  document.querySelector('.bar').classList.add('on');
  addEventListener('resize', draw);
  draw();
}
"""


def page(result: SearchResult) -> str:
    """A self-contained page; see the module."""
    drawn = svg_map(result.hits)
    unplaced = sum(hit.tile.footprint is None for hit in result.hits)
    off = f'<p class="quiet">Not on the map, without a place on Earth: {unplaced}.</p>' if drawn and unplaced else ""
    bar = (
        '<div class="bar"><button id="in">Closer</button><button id="out">Farther</button>'
        '<button id="all">All tiles</button></div>'
    )
    where = f'<div class="where">{bar}{drawn}{off}</div>' if drawn else ""
    cards = "".join(_card(hit) for hit in result.hits)
    said = "".join(f"<li>{escape(note)}</li>" for note in result.notes)
    notes = f'<ul class="notes">{said}</ul>' if said else ""
    origin = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in result.trace.items()
    )
    about = f"{len(result.hits)} tiles of {result.archive}, by {result.trace['model']}; best first"
    nowhere = "" if drawn else ' <span class="quiet">None of the tiles has a place on Earth.</span>'
    body = (
        f'<h1>{escape(result.title)}</h1><p class="quiet under">{escape(about)}.{nowhere}</p>{notes}'
        f'<div class="found{"" if drawn else " off"}">{where}<div class="cards">{cards}</div></div>'
        "<section><details><summary>How it came about</summary>"
        f'<table class="origin">{origin}</table></details></section>'
    )
    return shell(f"Search: {result.title}", body, style=STYLE + _OWN_STYLE, script=_SCRIPT if drawn else "")


def _card(hit: FoundTile) -> str:
    """A tile: its picture, its scores, where and when it is."""
    tile = hit.tile
    shown = f'<img alt="" src="{picture_url(tile.thumbnail)}">' if tile.thumbnail else '<div class="none"></div>'
    middle = hit.shape.centroid if tile.footprint else None
    place = format_lonlat(middle.x, middle.y) if middle else "not known"
    link = f' <a class="go" href="#f{hit.rank}">on the map</a>' if middle else ""
    facts = {
        "scene": tile.scene, "window": ", ".join(map(str, tile.window)), "date": hit.date,
        "pixel": f"{tile.gsd:.3g} m" if tile.gsd else "", "sensor": tile.sensor,
        "unwanted": "" if hit.against is None else f"{hit.against:.3f}",
        "caption score": "" if hit.text_score is None else f"{hit.text_score:.3f}",
    }  # fmt: skip
    rows = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in facts.items() if value)
    caption = tile.caption if len(tile.caption) <= _LONGEST else f"{tile.caption[:_LONGEST]}..."
    return (
        f'<article class="card{" doubt" * bool(hit.doubt)}" id="c{hit.rank}">{shown}'
        + f"<h3>{hit.rank}: {hit.score:.3f}</h3>"
        + (f'<div class="why">Unsure: {escape(hit.doubt)}.</div>' if hit.doubt else "")
        + (f"<p>{escape(caption)}</p>" if caption else "")
        + f"<dl>{rows}<dt>place</dt><dd>{place}{link}</dd></dl></article>"
    )
