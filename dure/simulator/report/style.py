"""How the page looks: light and dark, wide and narrow, on paper. Colours of series are those of Okabe and Ito, made darker for
light ground and lighter for dark; dashes and shapes tell the series apart where colours do not."""

from __future__ import annotations

CSS = """
:root { color-scheme:light dark; --ground:#fbfaf7; --card:#fff; --ink:#1d2329; --soft:#59636e; --rule:#dedbd2; --grid:#e9e6de;
  --mark:#fff3c9; --s0:#0067a6; --s1:#c44e00; --s2:#007a5a; --s3:#a8437f; --s4:#8a6500; --s5:#2b8fc4; --s6:#5b5bd6; --s7:#4d4d4d }
@media (prefers-color-scheme:dark) { :root { --ground:#14181c; --card:#1b2025; --ink:#e9e6df; --soft:#a3adb8; --rule:#343b43;
  --grid:#2a3037; --mark:#4a3f13; --s0:#5db7f0; --s1:#ff9a52; --s2:#35c79a; --s3:#e69ac6; --s4:#e6c24a; --s5:#9fd8f7;
  --s6:#a9a9ff; --s7:#c4c4c4 } }
* { box-sizing:border-box }
body { margin:0; background:var(--ground); color:var(--ink); line-height:1.55;
  font-family:system-ui,-apple-system,"Segoe UI","Apple SD Gothic Neo","Noto Sans KR","Malgun Gothic",sans-serif }
main { max-width:62rem; margin:0 auto; padding:2.5rem 1.25rem 4rem }
:lang(ko) { word-break:keep-all; overflow-wrap:anywhere }
h1,h2,h3 { line-height:1.25; text-wrap:balance }
h1 { font-size:1.05rem; font-weight:600; color:var(--soft); margin:.2rem 0 1.2rem }
h2 { font-size:1.25rem; margin:2.8rem 0 .8rem }
h3 { font-size:1.15rem; margin:0 }
.kicker { color:var(--soft); font-size:.85rem; margin:0 }
.headline { font-size:clamp(1.35rem,3.6vw,2rem); line-height:1.3; font-weight:650; margin:0 0 .7rem; text-wrap:pretty }
.price { font-size:1.05rem; margin:0 0 .7rem; text-wrap:pretty }
.lede,.note { color:var(--soft); font-size:.92rem }
.note { margin:.4rem 0 0 }
.tiles { display:grid; grid-template-columns:repeat(auto-fit,minmax(13rem,1fr)); gap:.9rem; margin:1.8rem 0 0 }
.tile,figure { background:var(--card); border:1px solid var(--rule); border-radius:.6rem; padding:1rem 1.1rem; margin:0 }
.tile h2 { font-size:.9rem; font-weight:600; margin:0 0 .5rem; color:var(--soft) }
.tile ul { list-style:none; margin:0; padding:0 }
.tile li { display:grid; grid-template-columns:1fr auto; gap:0 .6rem; margin:.35rem 0; font-size:.92rem }
.tile .bar { grid-column:1/-1; height:.4rem; border-radius:.2rem; background:var(--grid) }
.tile .bar span { display:block; height:100%; border-radius:.2rem; min-width:2px }
.num { font-variant-numeric:tabular-nums }
figure { margin:1.2rem 0; padding:1.2rem 1.2rem .9rem; break-inside:avoid }
figcaption p { margin:.35rem 0 .6rem }
.legend { display:flex; flex-wrap:wrap; gap:.2rem 1.2rem; list-style:none; margin:0 0 .3rem; padding:0; font-size:.9rem }
.legend li { display:flex; align-items:center; gap:.45rem }
.sample { width:30px; height:14px; flex:none }
.scroll { overflow-x:auto }
.scroll > svg { display:block; width:100%; min-width:34rem; height:auto }
svg text { fill:var(--ink); font-size:12px; font-family:inherit }
svg .tick,svg .axis { fill:var(--soft) } svg .mid { text-anchor:middle } svg .end { text-anchor:end }
.grid { stroke:var(--grid); stroke-width:1 }
.line { fill:none; stroke-width:2.2; stroke-linejoin:round } .line:hover { stroke-width:3.6 }
.reach { stroke-width:2.4; opacity:.55 }
.mark { stroke:var(--card); stroke-width:1 } .mark:hover { stroke:var(--ink) }
@SERIES@
table { border-collapse:collapse; width:100%; font-size:.92rem }
th,td { padding:.38rem .7rem; border-bottom:1px solid var(--rule); text-align:end; white-space:nowrap;
  font-variant-numeric:tabular-nums }
th:first-child { text-align:start; font-weight:500 } thead th { font-weight:600; color:var(--soft) }
tbody th::first-letter { text-transform:uppercase }
td.best { background:var(--mark); font-weight:650 }
.way { color:var(--soft); padding-inline-start:.35rem }
details { margin:.7rem 0 0; font-size:.92rem } summary { cursor:pointer; color:var(--soft) }
dl { display:grid; grid-template-columns:max-content 1fr; gap:.3rem 1.2rem; font-size:.92rem; margin:0 }
dt { color:var(--soft) } dd { margin:0; overflow-wrap:anywhere; white-space:pre-line }
@media (max-width:34rem) { dl { grid-template-columns:1fr } dd { margin-bottom:.5rem } }
@media print { :root { --ground:#fff; --card:#fff; --ink:#000; --soft:#444; --rule:#bbb; --grid:#ddd; --mark:#eee; --s0:#0067a6;
  --s1:#c44e00; --s2:#007a5a; --s3:#a8437f; --s4:#8a6500; --s5:#2b8fc4; --s6:#5b5bd6; --s7:#4d4d4d }
  main { max-width:none; padding:0 } .scroll { overflow:visible } .scroll > svg { min-width:0 } figure details { display:none }
  tr,.tile,figure { break-inside:avoid } h2 { break-after:avoid } * { print-color-adjust:exact } }
""".replace("@SERIES@", "\n".join(
    f".line.s{n},.reach.s{n} {{ stroke:var(--s{n}) }} .mark.s{n} {{ fill:var(--s{n}) }} .bar .s{n} {{ background:var(--s{n}) }}"
    for n in range(8)
))  # fmt: skip
