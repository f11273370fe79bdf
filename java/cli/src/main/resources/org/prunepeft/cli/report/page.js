/** Puts the report together. A page that renews itself keeps what is open. */
const data = JSON.parse(document.getElementById("data").textContent);
const main = document.getElementById("report");
const several = data.overview.length > 1 || data.studies.length > 0;
const goesOn = document.querySelector("meta[http-equiv=refresh]") !== null;

main.append(header(), ...data.studies.flatMap(studyStory));
if (data.studies.length === 0) main.append(...runStories());
else if (data.overview.length > 0) main.append(folded(goesOn ? "The runs that go on" : "The runs, one by one", () => element("div", {}, runStories())));
document.body.append(tip);
if (goesOn) keepOpen();
window.addEventListener("beforeprint", () => {
  document.querySelectorAll("details.run").forEach((run) => {
    run.open = true;
    run.fill();
  });
  document.querySelectorAll(".chart").forEach((canvas) => canvas.fit());
});
window.addEventListener("scroll", hideTip, {passive: true});
document.addEventListener("keydown", (event) => { if (event.key === "Escape") hideTip(); });

/** What is open, chosen, sorted and has the focus goes by what it is called: a later page may have more of it. */
function keepOpen() {
  const key = "open " + location.pathname;
  const {folds = {}, choices = {}, orders = {}, focus} = JSON.parse(sessionStorage.getItem(key) ?? "{}");
  const focusables = () => named("summary, button, select, a, [tabindex]");
  // What is opened may hold further folds.
  for (let more = true; more;) {
    more = false;
    for (const [name, fold] of named("details")) {
      if (name in folds && fold.open !== folds[name]) {
        fold.open = folds[name];
        fold.fill?.();
        more = true;
      }
    }
  }
  for (const [name, select] of named("select")) {
    if (name in choices && [...select.options].some((option) => option.value === choices[name])) {
      select.value = choices[name];
      select.dispatchEvent(new Event("change"));
    }
  }
  for (const [name, head] of named("th")) {
    for (let i = 0; name in orders && i < 2 && head.getAttribute("aria-sort") !== orders[name]; i++) head.querySelector("button").click();
  }
  focusables().find(([name]) => name === focus)?.[1].focus({preventScroll: true});
  window.addEventListener("pagehide", () => sessionStorage.setItem(key, JSON.stringify({
    folds: Object.fromEntries(named("details").map(([name, fold]) => [name, fold.open])),
    choices: Object.fromEntries(named("select").map(([name, select]) => [name, select.value])),
    orders: Object.fromEntries(named("th").map(([name, head]) => [name, head.getAttribute("aria-sort")]).filter(([, order]) => known(order))),
    focus: focusables().find(([, node]) => node === document.activeElement)?.[0],
  })));
}

/** Elements, each with a name of its own that says where it is. */
function named(selector) {
  const count = new Map();
  return [...document.querySelectorAll(selector)].map((node) => {
    const name = whereabouts(node);
    count.set(name, (count.get(name) ?? 0) + 1);
    return [`${name} ${count.get(name)}`, node];
  });
}

function whereabouts(node) {
  const names = [node.tagName, ["A", "BUTTON", "TH"].includes(node.tagName) ? node.textContent : ""];
  for (let at = node; at && at !== document.body; at = at.parentElement) {
    if (at.tagName === "DETAILS") names.push(at.called ?? at.querySelector("summary").textContent);
    else if (at.matches("figure, section, .card")) names.push(at.querySelector("h2, h3")?.textContent);
    else if (at.matches(".scroll")) names.push(at.getAttribute("aria-label"));
  }
  return names.join(" < ");
}

/** All runs side by side, and each. */
function runStories() {
  return [several ? overview() : null, data.runs.map((run, i) => several ? foldable(run, i) : element("div", {}, story(run)))].flat().filter(known);
}

function header() {
  const run = data.runs[0];
  const studies = data.studies.map((study) => study.study);
  const title = studies.length > 0 ? `${studies.length > 1 ? "Studies" : "Study"} ${studies.join(", ")}`
    : several ? `${data.overview.length} runs` : `${run.model ?? run.name} on ${run.task ?? "an unknown task"}`;
  const number = data.overview.length;
  const line = studies.length > 0 ? goesOn ? number === 1 ? "1 run goes on" : `${number} runs go on` : number === 1 ? "1 run" : `${number} runs` : several ? [...new Set(data.overview.map((row) => `${row.model} on ${row.task}`))].slice(0, 4).join(", ")
    : [run.command, known(run.seed) ? "seed " + run.seed : null, run.name, run.began.slice(0, 16).replace("T", " ") + " UTC"].filter(known).join(" · ");
  return element("header", {}, element("h1", {}, title), element("p", {class: "soft"}, line), notes(data.notes));
}

function notes(lines) {
  return lines.length === 0 ? null : element("div", {class: "notes"}, lines.map((line) => element("p", {}, line)));
}

function facts(run) {
  const list = [];
  const add = (name, value, more) => list.push(element("div", {}, element("dt", {}, name), element("dd", {}, value, more ? element("small", {}, more) : null)));
  if (known(run.test)) {
    add("test " + run.metric.label, metricText(run.test, run.metric.percent), (known(run.interval) ? `95 % interval ${rangeText(run.interval, run.metric.percent)}; ` : "") +
      (run.metric.key === "log_likelihood" ? `perplexity ${digits(Math.exp(-run.test))}; ` : "") + (isText(run) ? "without modules " : "head alone ") + `${metricText(run.baseline, run.metric.percent)}, validation ${metricText(run.validation, run.metric.percent)}`);
  } else {
    const last = run.curves.at(-1);
    const brief = run.state.length < 12;
    add("state", brief ? run.state : "not complete", brief ? null : run.state);
    if (last) add(run.state === "running" ? "training now" : "last training", last.training, `step ${last.steps}` + (last.losses.length > 0 ? `, loss ${digits(last.losses.at(-1))}` : ""));
  }
  const places = new Set(run.grid.map((place) => place.module.replace(/\.slice-\d+$/, "")));
  const slices = places.size < run.grid.length ? `${run.grid.filter((place) => place.kept).length} of ${run.grid.length} slices` : null;
  if (known(run.modules)) add("modules", `${run.modules}`, [places.size > run.modules ? `of ${places.size}` : null, slices].filter(known).join(", "));
  if (known(run.parameters)) add("trainable parameters", whole(run.parameters), known(run.share) ? `${(100 * run.share).toFixed(1)} % of the supernet's` : isText(run) ? null : "head apart");
  const supernet = run.measured?.comparisons.supernet;
  if (supernet) add("against the supernet", `${pointsText(supernet.mean)} points`, `of ${run.measured.quantity ?? "the metric"}, measured in the supernet before the retraining, 95 % interval ${pointsText(supernet.low)} to ${pointsText(supernet.high)}`);
  if (known(run.seconds)) add("time", seconds(run.seconds), !known(run.epochs) ? null : run.bestEpoch > 0 ? `best epoch ${run.bestEpoch} of ${run.epochs}` : `no better epoch in ${run.epochs}`);
  return element("dl", {class: "facts"}, list);
}

/** All of one run. */
function story(run) {
  const parts = [facts(run), notes(run.notes)];
  const sick = run.rounds.filter((round) => round.sickness || round.information === "none");
  if (sick.length > 0) {
    parts.push(notes(sick.map((round) => `Round ${round.index}: the scores carry no information` + (round.sickness ? `, the training ${round.sickness}${round.divergence ? `: ${round.divergence}` : ""}.` : "; the choice may be no better than a random one."))));
  }
  const section = (title, ...content) => {
    const shown = content.flat().filter(known);
    if (shown.length > 0) parts.push(element("section", {}, element("h2", {}, title), shown));
  };
  const narrow = new Set(run.grid.map((place) => place.column)).size < 4;
  const grid = run.grid.length > 0 ? moduleGrid(run) : null;
  section("Which modules", run.rounds.length > 0 ? element("div", {class: narrow ? "beside" : null}, grid, margins(run)) : grid,
    run.measured ? measuredCharts(run) : null, run.peer ? peerCharts(run) : null);
  section("Why: the criteria", run.strategy ? tendency(run) : null, run.rounds.length > 0 ? [reliability(run), scoresAndRanks(run)] : null);
  const curves = learningCurves(run);
  section("Training", curves.length > 0 ? element("div", {class: "pair"}, curves) : null, byPhase([run]));
  section(isText(run) ? "Texts" : "Mistakes", run.confusion ? confusionMatrix(run) : null, run.numbers ? numbersChart(run) : null, run.mistakes?.length > 0 ? mistakes(run) : null);
  section("Settings", folded("All settings", () =>
    sortable("Settings", columns("setting", "value"), Object.entries(run.settings).map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)]))));
  return parts.filter(known);
}

function foldable(run, i) {
  const fold = folded(run.name + (known(run.test) ? `: ${metricText(run.test, run.metric.percent)}` : ""), () => element("div", {}, story(run)));
  fold.className = "run";
  // What its summary says changes when the run ends.
  fold.called = run.name;
  fold.id = "run-" + i;
  return fold;
}

/** The runs side by side. */
function overview() {
  const rows = data.overview;
  const settings = Object.keys(rows[0].settings);
  const difference = (row) => known(row.toFirst) ? `${signed(differenceText(row.toFirst[0], row.percent), row.toFirst[0])} ${rangeText(row.toFirst.slice(1), row.percent)}${row.toFirst[1] <= 0 && row.toFirst[2] >= 0 ? ", no difference shown" : ""}` : dash;
  const names = new Map(data.runs.map((run, i) => [run.name, i]));
  const table = sortable("Runs", [
    {name: "run", value: (row) => row.name, text: (row) => names.has(row.name) ? link(row.name, names.get(row.name)) : row.name},
    {name: "test [95 %]", kind: "number", value: (row) => row.test, text: (row) => metricText(row.test, row.percent) +
      (known(row.interval) ? " " + rangeText(row.interval, row.percent) : "")},
    // A study says itself what is compared.
    ...data.studies.length === 0 ? [{name: "to the first [95 %]", kind: "number", value: (row) => row.toFirst?.[0], text: difference}] : [],
    {name: "state", value: (row) => row.state},
    ...new Set(rows.map((row) => row.task)).size > 1 ? [{name: "task", value: (row) => row.task}] : [],
    {name: "seed", kind: "number", value: (row) => row.seed},
    {name: "modules", kind: "number", value: (row) => row.modules},
    {name: "parameters", kind: "number", value: (row) => row.parameters, text: (row) => whole(row.parameters)},
    {name: "time", kind: "number", value: (row) => row.seconds, text: (row) => seconds(row.seconds)},
  ], rows);
  const parts = [element("h2", {}, "Runs"), element("div", {class: "card"}, element("p", {class: "caption"},
    "In brackets: the 95 % interval over the test examples, of differences by pairs. One that holds zero shows no difference."), table)];
  if (data.seeds.length > 0) {
    parts.push(element("div", {class: "card"}, element("h3", {}, "Over seeds"), element("p", {class: "caption"}, "Runs that differ in their seed alone; of several with the same seed the first."),
      sortable("Over seeds", [{name: "runs", value: (group) => group.runs.join(", ")}, {name: "number", kind: "number", value: (group) => group.runs.length},
        ...["mean", "deviation", "least", "most"].map((name) => ({name, kind: "number", value: (group) => group[name], text: (group) => metricText(group[name], group.percent)}))],
      data.seeds)));
  }
  const measured = rows.filter((row) => known(row.test));
  for (const [metric, own] of d3.group(measured, (row) => `${row.task}: ${row.metric}`)) {
    const charts = [against(own, metric, "trainable parameters", (row) => row.parameters, whole), against(own, metric, "seconds", (row) => row.seconds, seconds)];
    if (charts.some(known)) parts.push(element("div", {class: "pair"}, charts));
  }
  parts.push(...keptHowOften(data.runs), byPhase(data.runs));
  if (settings.length > 0) {
    parts.push(element("div", {class: "card"}, element("h3", {}, "Settings that differ"),
      sortable("Settings that differ", columns("run", ...settings.map((name) => name.replace(/^setup\./, ""))),
        rows.map((row) => [row.name, ...settings.map((name) => known(row.settings[name]) ? typeof row.settings[name] === "string" ? row.settings[name] : JSON.stringify(row.settings[name]) : null)]))));
  }
  parts.push(element("h2", {}, "Each run"));
  return parts;
}

function link(name, i) {
  const anchor = element("a", {href: "#run-" + i}, name);
  anchor.addEventListener("click", () => { document.getElementById("run-" + i).open = true; });
  return anchor;
}

/** The metric against a cost, a point for each run. */
function against(rows, metric, cost, value, text) {
  const own = rows.filter((row) => known(value(row)));
  if (own.length < 2) return null;
  const percent = own[0].percent;
  const models = [...new Set(own.map((row) => row.model))];
  return chart({
    title: `${metric} against ${cost}`, caption: "A point for each run" + (own.some((row) => known(row.interval)) ? ", with the 95 % interval over test examples." : ".") + (new Set(own.map((row) => row.examples)).size > 1 ? " Their test parts differ in size." : ""),
    alt: own.map((row) => `${row.name}: ${metricText(row.test, percent)}, ${text(value(row))} ${cost}`).join(". "),
    legend: models.length > 1 ? models : null,
    draw: points2d({
      items: own, bounds: boundsOf(own[0].metric), group: (row) => models.indexOf(row.model), name: own.length <= 12 ? (row) => row.name : null, x: value, y: (row) => row.test, low: (row) => row.interval?.[0], high: (row) => row.interval?.[1], xLabel: cost, yLabel: "test", xFormat: d3.format("~s"),
      yFormat: (number) => percent ? +(100 * number).toFixed(2) + " %" : digits(number),
      hint: (row) => [row.name, metricText(row.test, percent) + (known(row.interval) ? " " + rangeText(row.interval, percent) : ""), `${cost}: ${text(value(row))}`],
    }),
    table: {columns: columns("run", cost + "#", "test#"), rows: own.map((row) => [row.name, value(row), row.test])},
  });
}
