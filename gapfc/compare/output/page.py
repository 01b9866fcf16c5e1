"""The report's stylesheet and its one script (sorting the table): no font, no file, no network."""

from gapfc.compare.output.plots.style import COLOURS, GRID, INK, MUTED, PAPER

# The pictures' colours as CSS variables: light for day and print, brighter ones for a dark page.
LIGHT = {INK: "#1f2328", MUTED: "#59636e", GRID: "#d8dee4", PAPER: "#ffffff"}
DARK = {INK: "#e6edf3", MUTED: "#9198a1", GRID: "#30363d", PAPER: "#0d1117"}
NAMES = {INK: "--ink", MUTED: "--muted", GRID: "--grid", PAPER: "--paper"}
ON_DARK = (
    "#4aa8e0", "#f0803c", "#2fc49a", "#e3a0c4", "#f0b429", "#7cc8f2", "#d66b95", "#c2c25a",
    "#6fd0be",
)  # fmt: skip
VARIABLES = NAMES | {colour: f"--c{index}" for index, colour in enumerate(COLOURS)}


def _declare(neutral: dict[str, str], colours: tuple[str, ...]) -> str:
    pairs = [(NAMES[key], value) for key, value in neutral.items()]
    pairs += [(f"--c{index}", colour) for index, colour in enumerate(colours)]
    return "".join(f"{name}:{value};" for name, value in pairs)


STYLE = f"""
:root{{color-scheme:light;{_declare(LIGHT, COLOURS)}--soft:#f6f8fa;--link:#0550ae}}
@media screen and (prefers-color-scheme:dark){{
:root{{color-scheme:dark;{_declare(DARK, ON_DARK)}--soft:#161b22;--link:#79b8ff}}}}
*{{box-sizing:border-box}}
body{{margin:0;background:var(--paper);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif}}
main{{max-width:68rem;margin:0 auto;padding:1.5rem 1.1rem 4rem}}
h1{{font-size:1.7rem;line-height:1.2;margin:.4rem 0 .6rem}}
h2{{font-size:1.2rem;margin:2.4rem 0 .7rem;padding-top:.9rem;border-top:1px solid var(--grid)}}
p,ul{{max-width:46rem}} ul{{padding-left:1.2rem}} li{{margin:.3rem 0}}
.lede{{font-size:1.1rem}} .small,figcaption{{color:var(--muted);font-size:.88rem}}
.wide{{overflow-x:auto;-webkit-overflow-scrolling:touch;border:1px solid var(--grid);
border-radius:8px}}
table{{border-collapse:collapse;width:100%;font-size:.88rem;font-variant-numeric:tabular-nums}}
th,td{{padding:.45rem .7rem;text-align:right;white-space:nowrap;
border-bottom:1px solid var(--grid)}}
tbody tr:last-child>*{{border-bottom:0}}
th.l,td.l{{text-align:left}} thead th{{background:var(--soft);vertical-align:bottom}}
tbody th{{font-weight:600;text-align:left;background:var(--paper)}}
.wide th:first-child{{position:sticky;left:0;z-index:1}}
thead button{{all:unset;cursor:pointer;font-weight:600}}
thead button:focus-visible{{outline:2px solid var(--link);outline-offset:2px}}
th[aria-sort=ascending] button:after{{content:" ↑"}}
th[aria-sort=descending] button:after{{content:" ↓"}}
tr.base>*{{background:var(--soft)}} td.best{{font-weight:700}}
figure{{margin:1.6rem 0}} figure .wide{{border:0}} figcaption{{margin-top:.3rem}}
figure h3{{font-size:1rem;margin:0 0 .4rem}}
svg{{display:block;width:100%;height:auto;max-width:52rem;min-width:32rem}}
dl{{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1.1rem;max-width:52rem}}
dt{{color:var(--muted)}} dd{{margin:0;overflow-wrap:anywhere}}
pre{{background:var(--soft);border:1px solid var(--grid);border-radius:8px;padding:.8rem;
font-size:.82rem;white-space:pre-wrap;overflow-wrap:anywhere}}
code{{font-family:ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace}}
summary{{cursor:pointer;color:var(--link)}}
@media (max-width:40rem){{main{{padding:1rem .9rem 3rem}}h1{{font-size:1.4rem}}
dl{{grid-template-columns:1fr}}dt{{margin-top:.5rem}}}}
@media print{{body{{font-size:10pt}}main{{max-width:none;padding:0}}.wide{{overflow:visible}}
table{{font-size:7pt}}th,td{{padding:.2rem .25rem;white-space:normal}}
.wide th:first-child{{position:static}}
svg{{min-width:0;max-width:100%}}figure,tr,pre,li{{break-inside:avoid}}h2,h3{{break-after:avoid}}}}
"""

SCRIPT = """
document.querySelectorAll('thead button').forEach(function(button){
  button.addEventListener('click',function(){
    var th=button.closest('th'),column=th.cellIndex,body=th.closest('table').tBodies[0];
    var down=th.getAttribute('aria-sort')!=='descending';
    th.parentNode.querySelectorAll('th').forEach(function(h){h.removeAttribute('aria-sort')});
    th.setAttribute('aria-sort',down?'descending':'ascending');
    Array.from(body.rows).sort(function(a,b){
      var x=a.cells[column].dataset.v,y=b.cells[column].dataset.v;
      if(x===''||y==='')return(x==='')-(y==='');
      var order=isNaN(x)||isNaN(y)?x.localeCompare(y):x-y;
      return down?-order:order;
    }).forEach(function(row){body.appendChild(row)});
  });
});
"""
