/** Colours meet WCAG AA on their own backgrounds in both schemes: measured by the page's test. */
export const style = `
:root {
  color-scheme: light dark;
  --page: #f5f6f8; --card: #ffffff; --text: #1b1f24; --dim: #59636e; --line: #d9dee4; --link: #0b57b0; --focus: #0b57b0;
  --good: #0f5f2c; --good-back: #dcf5e3; --bad: #9c1127; --bad-back: #fde7e8;
  --warn: #724800; --warn-back: #fdf0cf; --info: #0a4687; --info-back: #dfeefd;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0e1217; --card: #161b22; --text: #e7eaee; --dim: #a2acb8; --line: #2d343d; --link: #8cc2ff; --focus: #8cc2ff;
    --good: #82dfa2; --good-back: #12301d; --bad: #ffaaa8; --bad-back: #43171c;
    --warn: #f2cb72; --warn-back: #382a07; --info: #a1ccff; --info-back: #10294a;
  }
}
* { box-sizing: border-box }
[hidden] { display: none !important }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100% }
body { margin: 0; background: var(--page); color: var(--text); font: 15px/1.5 system-ui, sans-serif; font-variant-numeric: tabular-nums }
header, main { max-width: 84rem; margin: 0 auto; padding: 0 clamp(1rem, 3vw, 2.5rem) }
header { padding-top: 2rem }
h1 { margin: 0 0 1rem; font-size: 1.6rem; line-height: 1.25; overflow-wrap: anywhere }
h2 { margin: 2.25rem 0 .75rem; font-size: 1.15rem }
p { margin: 0 }
code { font: .92em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere }
h1 code { font-size: .95em }
a { color: var(--link); text-underline-offset: .18em }
:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; border-radius: 3px }
.skip { position: absolute; left: -100rem; background: var(--card); padding: .5rem 1rem }
.skip:focus { left: 1rem; top: .5rem; z-index: 2 }
.dim, .more, .source { color: var(--dim) }

.tiles { display: flex; flex-wrap: wrap; gap: .5rem; margin: 0; padding: 0; list-style: none }
.tiles li { padding: .35rem .8rem; border: 1px solid var(--line); border-radius: 999px; background: var(--card) }
.tiles .good, .badge.good { background: var(--good-back); color: var(--good); border-color: transparent }
.tiles .bad, .tiles .error { background: var(--bad-back); color: var(--bad); border-color: transparent }
.tiles .warning { background: var(--warn-back); color: var(--warn); border-color: transparent }
.tiles .note { background: var(--info-back); color: var(--info); border-color: transparent }

.findings {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 25rem), 1fr)); gap: .75rem;
  margin: 0; padding: 0; list-style: none
}
.findings li {
  display: flex; flex-direction: column; gap: .3rem; padding: .8rem 1rem; background: var(--card);
  border: 1px solid var(--line); border-left: 4px solid var(--edge); border-radius: 6px
}
.findings .error { --edge: var(--bad) }
.findings .warning { --edge: var(--warn) }
.findings .note { --edge: var(--info) }
.what { display: flex; flex-wrap: wrap; align-items: center; gap: .15rem .5rem; font-weight: 600 }
.what .source { font-weight: 400; font-size: .85rem }
.fix::before { content: '→ '; color: var(--dim) }
.code {
  margin-top: auto; padding-top: .2rem; color: var(--dim);
  font: .78rem/1.4 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere
}
details { margin-top: 1rem }
summary { cursor: pointer; color: var(--link); padding: .25rem 0 }
details .findings { margin-top: .75rem }
.badge { display: inline-block; padding: 0 .5em; border-radius: 4px; font-size: .78rem; line-height: 1.6; font-weight: 600 }
.badge.error { background: var(--bad-back); color: var(--bad) }
.badge.warning { background: var(--warn-back); color: var(--warn) }
.badge.note { background: var(--info-back); color: var(--info) }

.filters { display: flex; flex-wrap: wrap; align-items: end; gap: .75rem 1rem; margin-bottom: 1rem }
.filters label { display: grid; gap: .2rem; font-size: .85rem; color: var(--dim) }
.filters label:first-child { flex: 1 1 16rem; max-width: 26rem }
.filters input[type=search], .filters select, .filters button {
  width: 100%; min-height: 2.6rem; padding: .35rem .7rem; border: 1px solid #7b8794; border-radius: 6px;
  background: var(--card); color: var(--text); font: inherit; font-size: 1rem
}
.filters ::placeholder { color: var(--dim); opacity: 1 }
.filters .check { display: flex; align-items: center; gap: .5rem; min-height: 2.6rem; font-size: .95rem; color: var(--text) }
.filters .check input { width: 1.15rem; height: 1.15rem; accent-color: var(--link) }
.filters button { width: auto; cursor: pointer }
.filters output { min-height: 2.6rem; display: flex; align-items: center; color: var(--dim) }

table {
  width: 100%; border-collapse: separate; border-spacing: 0;
  background: var(--card); border: 1px solid var(--line); border-radius: 8px
}
th, td { padding: .6rem .8rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); overflow-wrap: anywhere }
#routes { scroll-margin-top: 1rem }
tr { scroll-margin-top: 3.5rem }
th { position: sticky; top: 0; z-index: 1; background: var(--card); font-size: .85rem; color: var(--dim); white-space: nowrap }
th:first-child { border-top-left-radius: 8px }
th:last-child { border-top-right-radius: 8px }
tr:last-child td { border-bottom: 0 }
tr:target td { background: var(--info-back) }
tr:target .dim, tr:target .more { color: var(--text) }
.more { display: block; font-size: .82rem; line-height: 1.45 }
.path { font-weight: 600 }
.method { display: inline-block; font: 700 .78rem/1.9 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; letter-spacing: .02em }
.method.get, .method.head, .method.options { color: var(--info) }
.method.post, .method.put, .method.patch { color: var(--warn) }
.method.delete { color: var(--bad) }
.access { display: inline-block; padding: .05rem .5rem; border-radius: 4px; background: var(--good-back); color: var(--good) }
.access.public, .access.authenticated, .access.unknown { background: var(--warn-back); color: var(--warn) }
.access.closed, .access.open { background: var(--bad-back); color: var(--bad) }
.none { padding: 1rem; color: var(--dim) }
main { padding-bottom: 3rem }

@media (max-width: 66rem) {
  table, tbody, tr, td { display: block; width: auto; min-width: 0 }
  table { background: none; border: 0 }
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%) }
  tbody { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 21rem), 1fr)); gap: .75rem }
  tr { padding: .7rem .9rem; background: var(--card); border: 1px solid var(--line); border-radius: 8px }
  tr:target { background: var(--info-back) }
  td:nth-child(n) {
    display: grid; grid-template-columns: 5.2rem minmax(0, 1fr); gap: 0 .75rem;
    width: auto; min-width: 0; padding: .18rem 0; border: 0
  }
  td::before { content: attr(data-title); color: var(--dim); font-size: .85rem; line-height: 1.75 }
  td > * { grid-column: 2; justify-self: start }
  td.usual { display: none }
  tr:target td::before { color: var(--text) }
  .filters > * { flex: 1 1 8rem }
  .filters label:first-child { flex-basis: 100%; max-width: none }
  .filters .check { flex-basis: 100% }
  .filters button { flex: 0 0 auto }
}

@media print {
  @page { size: landscape; margin: 12mm }
  :root {
    color-scheme: light;
    --page: #fff; --card: #fff; --text: #000; --dim: #444; --line: #999; --link: #000;
    --good: #000; --bad: #7a0016; --warn: #4d3100; --info: #06305e;
    --good-back: #fff; --bad-back: #fff; --warn-back: #fff; --info-back: #fff
  }
  body { font-size: 9.5pt }
  header, main { max-width: none; padding-left: 0; padding-right: 0 }
  .filters, .skip { display: none }
  .findings { display: block }
  .findings li { margin-bottom: .5rem }
  .findings li, tr { break-inside: avoid }
  th { position: static }
  .badge, .access { border: 1px solid currentColor }
  a { text-decoration: none }
}
`
