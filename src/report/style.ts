/** The page's own style: light or dark as the reader prefers, light on paper. It loads no fonts and no pictures. */
export const STYLE = `
:root{color-scheme:light dark;--fg:#1c2127;--dim:#56606c;--bg:#fff;--panel:#f4f5f7;--rule:#d2d7de;--good:#136c3a;--bad:#a8281c;
--s0:#6a7685;--s1:#b26a00;--s2:#1860c4;--s3:#0f7f68;--s4:#8a3fb5;--s5:#bb2d56;--s6:#6b7a10;--s7:#0b7fa5}
@media screen and (prefers-color-scheme:dark){:root{--fg:#e6e9ee;--dim:#a6b0bc;--bg:#14171b;--panel:#1d2227;--rule:#39414a;--good:#6fd39b;--bad:#ff9a8c;
--s0:#9aa7b5;--s1:#f0a83c;--s2:#6aa7ff;--s3:#43c9ab;--s4:#c690ec;--s5:#ff86a8;--s6:#bfcf5a;--s7:#55c3e6}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--fg);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main,header,footer{max-width:1240px;margin:0 auto;padding:0 24px}
header{padding-top:28px}h1{font-size:27px;margin:0 0 4px}h2{font-size:21px;margin:40px 0 8px;padding-top:12px;border-top:1px solid var(--rule)}
h3{font-size:17px;margin:26px 0 4px}p{margin:4px 0 10px;max-width:86ch}figure{margin:0}
.lead{font-size:20px}.note,.tick{color:var(--dim)}.note{font-size:15px}.missing{color:var(--dim);border-left:3px solid var(--s1);padding-left:10px}
.repeat{font-size:15px}code{font:.92em/1.4 ui-monospace,"Cascadia Mono",Menlo,Consolas,monospace;overflow-wrap:anywhere}
.verdict{border-left:4px solid var(--s1);background:var(--panel);padding:8px 12px;border-radius:0 6px 6px 0;max-width:none}.verdict.good{border-color:var(--good)}.verdict.poor{border-color:var(--bad)}
nav a{margin-right:14px;display:inline-block}a{color:var(--s2)}
.side{display:flex;flex-wrap:wrap;gap:28px;align-items:flex-start;margin-bottom:14px}.side>*{flex:1 1 420px;min-width:0;max-width:560px}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}.scroll+.rates,.scroll+.scroll>.rates{margin-top:18px}
caption{text-align:left;color:var(--dim);padding:2px 0;font-size:15px}th,td{padding:4px 14px 4px 0;text-align:right;border-bottom:1px solid var(--rule);vertical-align:top}
th[scope=row],thead th:first-child,.text thead th{text-align:left;font-weight:500}thead th,.text thead th{font-weight:600}
td,thead th{white-space:nowrap}.settings td{text-align:left;white-space:normal;overflow-wrap:anywhere}.settings thead th{text-align:left}.settings details{margin-left:18px}
.changed{columns:2 480px;column-gap:32px}.changed .scroll{break-inside:avoid;margin-bottom:14px}.changed table{width:100%;table-layout:fixed}.changed td,.changed th{white-space:normal;overflow-wrap:anywhere}.changed th:first-child{width:42%}
svg.chart{width:100%;height:auto;font:14px system-ui,sans-serif;fill:var(--fg);display:block}
.s0{--c:var(--s0)}.s1{--c:var(--s1)}.s2{--c:var(--s2)}.s3{--c:var(--s3)}.s4{--c:var(--s4)}.s5{--c:var(--s5)}.s6{--c:var(--s6)}.s7{--c:var(--s7)}
.swatch,.legend i{display:inline-block;width:12px;height:12px;border-radius:2px;background:var(--c);margin-right:7px}
.rates{width:100%;max-width:1060px}.rates th,.rates td{vertical-align:middle}.rates .group th{font-weight:600;padding-top:12px;text-align:left}.rates tbody th[scope=row]{white-space:nowrap}
.rates td.bar{width:34%;min-width:110px;padding-right:18px}.rates th.bar{padding-right:18px;font-weight:400;color:var(--dim);font-size:13px;vertical-align:bottom}
.rates th.bar span{display:inline-block;width:33.3%;text-align:center}.rates th.bar span:first-child{text-align:left}.rates th.bar span:last-child{text-align:right}
.rates svg{display:block;width:100%;height:20px}.rates rect{fill:var(--c);fill-opacity:.75}.rates path{stroke:var(--fg);stroke-width:1.5;fill:none;vector-effect:non-scaling-stroke}.rates .frame{stroke:var(--rule);stroke-width:1}
.rates .rate{font-weight:700}.rates .ci,.rates .n,.rates .steps{color:var(--dim)}
.families{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,720px),1fr));gap:12px 32px}.families .rates caption{color:var(--fg);font-weight:600}.families thead{display:none}
.policies{margin:4px 0}.policies div{display:grid;grid-template-columns:minmax(9em,auto) 1fr;gap:12px;padding:3px 0;max-width:100ch}.policies dt{font-weight:500}.policies dd{margin:0}
.chart .bar{fill:var(--c)}.chart .whisker{stroke:var(--c);stroke-width:1.5;fill:none}.chart .line{fill:none}
.chart .line{stroke:var(--c);stroke-width:1.8}.chart .area{fill:var(--c);fill-opacity:.45;stroke:none}
.chart .grid{stroke:var(--rule);fill:none}.chart .tick{fill:var(--dim);font-size:13px}
.chart .diagonal,.chart .mark{stroke:var(--dim);stroke-dasharray:5 4;fill:none}
.legend span{margin-right:18px;white-space:nowrap}
.curves{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,330px),1fr));gap:12px}
.curves figure{background:var(--panel);padding:8px 8px 4px;border-radius:6px;min-width:0;break-inside:avoid}
.curves figcaption{font-size:14px}.curves ul{list-style:none;margin:2px 0;padding:0;font-size:14px;font-variant-numeric:tabular-nums}.plot{min-height:190px}
.dash{width:24px;height:8px;margin-right:6px;vertical-align:middle}.dash path{stroke:var(--c);stroke-width:2.5}.dash.held path{stroke-dasharray:6 3}
.strip{break-inside:auto}.strip ol{list-style:none;margin:0;padding:8px;display:flex;gap:14px;overflow-x:auto;background:var(--panel);border-radius:6px}
.strip li{flex:0 0 auto;width:214px;font-size:13.5px;break-inside:avoid}.strip .step{height:3em;overflow:hidden;overflow-wrap:anywhere;display:-webkit-box;-webkit-box-orient:vertical;-webkit-line-clamp:2}
.screen{display:block;border:1px solid var(--rule);height:auto}.screen path{fill:none;stroke-linecap:round;stroke-linejoin:round}
.screen .halo{stroke:#fff;stroke-width:5;stroke-opacity:.85}.screen .taken{stroke:#d4145a;stroke-width:2.5}.screen .best{stroke:#0b5ed7;stroke-width:2.5}
.strip dl{display:grid;grid-template-columns:auto 1fr auto 1fr;gap:0 8px;margin:6px 0;font-variant-numeric:tabular-nums}.strip dt{color:var(--dim)}.strip dd{margin:0}
.candidates{font-size:12.5px;width:100%;table-layout:fixed}.candidates th,.candidates td,.candidates thead th{white-space:normal;padding:1px 4px 1px 0}.candidates th:first-child{width:50%;overflow-wrap:anywhere}
.candidates .chosen{font-weight:700}.candidates .chosen th{font-weight:700}.candidates .invalid{color:var(--dim);font-style:italic}
.outcome{font-size:14px;font-weight:600;margin-left:8px}.good{color:var(--good)}.bad{color:var(--bad)}.verdict.good,.verdict.poor{color:inherit}
table.text td{text-align:left}table.tokens{margin:6px 0 14px}.tokens td{text-align:left;white-space:pre-wrap;font:13px/1.7 ui-monospace,monospace}.tokens span{background:color-mix(in srgb,var(--s1) var(--w),transparent);border-radius:2px}
details{margin:6px 0}summary{cursor:pointer}footer{color:var(--dim);padding:32px 24px}
@media (max-width:700px){th,td{padding-right:10px}.amounts td{white-space:normal}main,header,footer{padding-left:14px;padding-right:14px}svg.chart{font-size:18px}.chart .tick{font-size:16px}
.policies div{grid-template-columns:1fr;gap:0}.policies dd{margin-left:19px}.side>*{flex-basis:100%}
.rates,.rates tbody,.rates caption{display:block}.rates thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.rates tr{display:grid;grid-template-columns:1fr auto;grid-template-areas:"name rate" "bar bar" "ci n" "against steps";gap:0 12px;border-bottom:1px solid var(--rule);padding:6px 0}.rates tr.group{display:block}
.rates th,.rates td,.rates td.bar{display:block;border:0;padding:0;width:auto;min-width:0;text-align:left;white-space:normal}.rates th[scope=row]{grid-area:name}.rates .rate{grid-area:rate;text-align:right}.rates .n{grid-area:n;text-align:right}.rates .ci{grid-area:ci}.rates .against{grid-area:against}.rates .steps{grid-area:steps;text-align:right}
.rates td.bar{grid-area:bar;padding:3px 0}.rates td[data-label]:empty{display:none}.rates td[data-label]::before{content:attr(data-label) " ";color:var(--dim)}.rates td.ci::before{content:"interval ";color:var(--dim)}}
@media print{body{font-size:11px}main,header,footer{max-width:none;padding:0}nav{display:none}.strip ol{flex-wrap:wrap;overflow:visible}h2,h3{break-after:avoid}.scroll{overflow:visible}}
`;
