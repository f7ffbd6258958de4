"use strict";
(() => {
  const $ = (q, e = document) => e.querySelector(q), $$ = (q, e = document) => [...e.querySelectorAll(q)];
  const tools = $(".tools"), findings = $$(".finding");
  const text = new Map(findings.map(f => [f, f.textContent.toLowerCase()]));
  const search = $("#search"), selects = $$(".tools select"), shown = $("#shown"), tiles = $$(".tile[data-verdict]");

  let wasFiltering = false;

  function apply() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let n = 0;
    for (const f of findings) {
      const on = selects.every(s => !s.value || f.dataset[s.name] === s.value) && words.every(w => text.get(f).includes(w));
      f.hidden = !on;
      n += on;
    }
    const filtering = n < findings.length;
    for (const s of $$(".group")) {
      s.hidden = !$(".finding:not([hidden])", s);
      if (s.tagName === "DETAILS" && filtering !== wasFiltering) s.open = filtering;
    }
    wasFiltering = filtering;
    for (const t of tiles) t.setAttribute("aria-pressed", t.dataset.verdict === $("[name=verdict]").value);
    shown.value = n === findings.length ? n + " rules" : n + " of " + findings.length + " rules";
  }
  function clear() {
    search.value = "";
    for (const s of selects) s.value = "";
    apply();
  }
  if (tools) {
    tools.hidden = false;
    search.addEventListener("input", apply);
    for (const s of selects) s.addEventListener("change", apply);
    for (const t of tiles) t.addEventListener("click", () => {
      const s = $("[name=verdict]");
      s.value = s.value === t.dataset.verdict ? "" : t.dataset.verdict;
      apply();
      tools.scrollIntoView({ block: "start" });
    });
    $("#clear").addEventListener("click", clear);
    apply();
  }

  function reveal() {
    const e = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!e) return;
    if (e.hidden) clear();
    for (let d = e; d; d = d.parentElement) if (d.tagName === "DETAILS") d.open = true;
    e.scrollIntoView();
  }
  addEventListener("hashchange", reveal);
  reveal();

  addEventListener("keydown", e => {
    if (e.ctrlKey || e.metaKey || e.altKey || !tools) return;
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName);
    if (e.key === "/" && !typing) { e.preventDefault(); search.focus(); }
    else if (e.key === "Escape") { clear(); document.activeElement.blur(); }
    else if ((e.key === "j" || e.key === "k") && !typing) {
      const list = $$(".finding > summary").filter(s => s.checkVisibility()), at = list.indexOf(document.activeElement.closest?.(".finding > summary"));
      const next = list[e.key === "j" ? Math.min(at + 1, list.length - 1) : Math.max(at - 1, 0)];
      if (next) { next.focus(); next.scrollIntoView({ block: "nearest" }); }
    }
  });
  for (const c of $$(".curl")) {
    const b = document.createElement("button");
    b.className = "copy";
    b.type = "button";
    b.textContent = "copy";
    b.addEventListener("click", async () => {
      try { await navigator.clipboard.writeText($("pre", c).textContent); b.textContent = "copied"; }
      catch { getSelection().selectAllChildren($("pre", c)); b.textContent = "selected"; }
    });
    c.append(b);
  }
  const closed = [];
  addEventListener("beforeprint", () => { for (const d of $$("details.did-not-hold:not([open])")) { d.open = true; closed.push(d); } });
  addEventListener("afterprint", () => { for (const d of closed.splice(0)) d.open = false; });

  const source = $("#data");
  if (!source || typeof uPlot === "undefined") return;
  const data = JSON.parse(source.textContent), plots = [];
  const ms = v => v == null ? "–" : v >= 1000 ? (v / 1000).toPrecision(3) + " s" : v >= 1 ? v.toPrecision(3).replace(/\.?0+$/, "") + " ms" : v === 0 ? "0" : (v * 1000).toPrecision(2).replace(/\.0$/, "") + " µs";
  const num = v => v == null ? "–" : v.toLocaleString("en", { maximumFractionDigits: 1 });
  const time = v => v == null ? "–" : v < 120 ? +v.toFixed(1) + " s" : Math.floor(v / 60) + ":" + String(Math.round(v % 60)).padStart(2, "0");
  const share = x => x == null ? "–" : x <= 1 ? "0 %" : +(100 - 100 / x).toFixed(Math.max(0, Math.ceil(Math.log10(x)) - 1)) + " %";

  function draw() {
    for (const p of plots.splice(0)) p.destroy();
    const css = getComputedStyle(document.documentElement), v = n => css.getPropertyValue(n).trim();
    for (const d of data) {
      const box = document.getElementById(d.id);
      if (!box) continue;
      const unit = d.unit === "ms" ? ms : num, x = d.x === "share" ? share : time;
      const axis = { stroke: v("--dim"), grid: { stroke: v("--line"), width: 1 }, ticks: { stroke: v("--line"), width: 1 }, font: "12px system-ui, sans-serif" };
      plots.push(new uPlot({
        width: box.clientWidth, height: 260, legend: { live: true },
        cursor: { y: false, drag: { x: true, y: false } },
        scales: { x: { time: false, distr: d.x === "share" ? 3 : 1 }, y: d.log ? { distr: 3 } : { range: (u, lo, hi) => [0, hi > 0 ? hi * 1.05 : 1] } },
        axes: [{ ...axis, values: (u, s) => s.map(t => t == null ? "" : x(t)) }, { ...axis, size: 72, values: (u, s) => s.map(t => t == null ? "" : unit(t)) }],
        series: [{ label: d.x === "share" ? "quantile" : "time", value: (u, t) => x(t) }, ...d.names.map((name, i) => ({
          label: name, stroke: v("--c" + d.colors[i]), width: d.dash && d.dash[i] ? 1.5 : 1.75, dash: d.dash && d.dash[i] ? [5, 4] : undefined,
          value: (u, t) => unit(t), points: { show: false } }))],
      }, d.data, box));
    }
  }
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  let was = innerWidth, timer;
  addEventListener("resize", () => { if (innerWidth !== was) { was = innerWidth; clearTimeout(timer); timer = setTimeout(draw, 100); } });
})();
