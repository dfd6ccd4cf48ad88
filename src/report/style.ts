/** The page's own style: light and dark by the reader's preference, light on paper. No font or picture is fetched. */
export const STYLE = `
:root{color-scheme:light dark;--fg:#1c2127;--dim:#5a6470;--bg:#fff;--panel:#f5f6f8;--rule:#d5dae0;--good:#136c3a;--bad:#a8281c;
--s0:#6a7685;--s1:#b26a00;--s2:#1860c4;--s3:#0f7f68;--s4:#8a3fb5;--s5:#bb2d56}
@media screen and (prefers-color-scheme:dark){:root{--fg:#e6e9ee;--dim:#a0aab6;--bg:#14171b;--panel:#1d2227;--rule:#3a424b;--good:#6fd39b;--bad:#ff9a8c;
--s0:#9aa7b5;--s1:#f0a83c;--s2:#6aa7ff;--s3:#43c9ab;--s4:#c690ec;--s5:#ff86a8}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main,header,footer{max-width:1240px;margin:0 auto;padding:0 24px}
header{padding-top:28px}h1{font-size:26px;margin:0 0 4px}h2{font-size:20px;margin:40px 0 8px;padding-top:12px;border-top:1px solid var(--rule)}
h3{font-size:16px;margin:24px 0 4px}p{margin:4px 0 10px;max-width:86ch}
.lead{font-size:19px}.note,.tick{color:var(--dim)}.missing{color:var(--dim);border-left:3px solid var(--s1);padding-left:10px}
nav a{margin-right:14px}a{color:var(--s2)}
.side{display:flex;flex-wrap:wrap;gap:28px;align-items:flex-start}.side>*{flex:1 1 420px;min-width:0}.side>.scroll{flex-basis:660px}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
caption{text-align:left;color:var(--dim);padding:2px 0}th,td{padding:3px 12px 3px 0;text-align:right;border-bottom:1px solid var(--rule);vertical-align:top}
th[scope=row],thead th:first-child{text-align:left;font-weight:500}thead th{font-weight:600}
td,thead th{white-space:nowrap}.settings td{text-align:left;white-space:normal;overflow-wrap:anywhere}
svg.chart{width:100%;height:auto;font:12px system-ui,sans-serif;fill:var(--fg);display:block}
.s0{--c:var(--s0)}.s1{--c:var(--s1)}.s2{--c:var(--s2)}.s3{--c:var(--s3)}.s4{--c:var(--s4)}.s5{--c:var(--s5)}
.families{display:grid;grid-template-columns:repeat(auto-fill,minmax(300px,1fr));gap:12px 24px}
.chart .bar{fill:var(--c)}.chart rect.bar{fill-opacity:.72}.chart .whisker{stroke:var(--fg);stroke-width:1.5;fill:none}.chart .points .whisker{stroke:var(--c)}.chart .line{fill:none}
.chart .line{stroke:var(--c);stroke-width:1.8}.chart .area{fill:var(--c);fill-opacity:.45;stroke:none}
.chart .grid{stroke:var(--rule);fill:none}.chart .tick{fill:var(--dim);font-size:11px}.chart .value{font-weight:600}
.chart .diagonal,.chart .mark{stroke:var(--dim);stroke-dasharray:5 4;fill:none}
.legend span{margin-right:18px;white-space:nowrap}.legend i{display:inline-block;width:12px;height:12px;border-radius:2px;background:var(--c);margin-right:6px}
.curves{display:grid;grid-template-columns:repeat(auto-fill,minmax(290px,1fr));gap:12px}
.curves figure{margin:0;background:var(--panel);padding:8px 8px 4px;border-radius:6px;min-width:0;break-inside:avoid}
.curves figcaption{font-size:13px}.curves .u-legend{font-size:12px;text-align:left}.curves .u-legend th,.curves .u-legend td{border:0;padding:0 4px 0 0}
.curves .u-legend .u-series:first-child{color:var(--dim)}.plot{min-height:170px}
.strip{break-inside:auto}.strip ol{list-style:none;margin:0;padding:8px;display:flex;gap:14px;overflow-x:auto;background:var(--panel);border-radius:6px}
.strip li{flex:0 0 auto;width:206px;font-size:12.5px;break-inside:avoid}.strip .step{min-height:3em;overflow-wrap:anywhere}
.screen{display:block;border:1px solid var(--rule);height:auto}.screen path{fill:none;stroke-linecap:round;stroke-linejoin:round}
.screen .halo{stroke:#fff;stroke-width:5;stroke-opacity:.85}.screen .taken{stroke:#d4145a;stroke-width:2.5}.screen .best{stroke:#0b5ed7;stroke-width:2.5}
.strip dl{display:grid;grid-template-columns:auto 1fr auto 1fr;gap:0 8px;margin:6px 0;font-variant-numeric:tabular-nums}.strip dt{color:var(--dim)}.strip dd{margin:0}
.candidates{font-size:11.5px;width:100%;table-layout:fixed}.candidates th,.candidates td,.candidates thead th{white-space:normal;padding:1px 4px 1px 0}.candidates th:first-child{width:52%;overflow-wrap:anywhere}
.candidates .chosen{font-weight:700}.candidates .chosen th{font-weight:700}.candidates .invalid{color:var(--dim);text-decoration:line-through}
.outcome{font-size:13px;font-weight:600;margin-left:8px}.good{color:var(--good)}.bad{color:var(--bad)}
table.tokens{margin:6px 0 14px}.tokens td{text-align:left;white-space:pre-wrap;font:12px/1.7 ui-monospace,monospace}.tokens span{background:color-mix(in srgb,var(--s1) var(--w),transparent);border-radius:2px}
details{margin:6px 0}summary{cursor:pointer}footer{color:var(--dim);padding:32px 24px}
@media print{body{font-size:11px}main,header,footer{max-width:none;padding:0}nav{display:none}.strip ol{flex-wrap:wrap;overflow:visible}h2,h3{break-after:avoid}.scroll{overflow:visible}}
`;
