/** A study: what shows over all tasks, methods on each task against parameters and time, differences, what the searches cost. */
function studyStory(study) {
  const sections = [
    ...study.overall.map((table) => ({title: "Over all tasks" + within(table.budget), content: overTasks(table)})),
    ...study.tables.map((table) => ({title: settingOf(table), content: methodsOnTask(study, table)})),
    ...costSections(study),
    ...study.learning_rates.length > 0 ? [{title: "Learning rates", content: [learningRates(study)]}] : [],
  ];
  const id = (i) => `study-${data.studies.indexOf(study)}-${i}`;
  return [
    studyFacts(study),
    study.missing.length > 0 ? notes([`${study.missing.length} runs are missing: ${study.missing.slice(0, 8).join(", ")}${study.missing.length > 8 ? ", …" : ""}`]) : null,
    sections.length > 3 ? element("nav", {"aria-label": "Parts of study " + study.study}, element("ul", {},
      sections.map((section, i) => element("li", {}, element("a", {href: "#" + id(i)}, section.title))))) : null,
    ...sections.map((section, i) => element("section", {id: id(i)}, element("h2", {}, section.title), section.content.filter(known))),
  ].filter(known);
}

function studyFacts(study) {
  const fact = (name, value, more) => element("div", {}, element("dt", {}, name), element("dd", {}, value, more ? element("small", {}, more) : null));
  const all = (names) => names.length > 1 ? [`${names.length}`, names.join(", ")] : [names[0] ?? dash, null];
  return element("dl", {class: "facts"},
    fact("tasks", ...all([...new Set(study.tables.map((table) => table.task))])),
    fact("models", ...all([...new Set(study.tables.map((table) => table.model))])),
    fact("methods", ...all(methodsOf(study))),
    fact("seeds", ...all([...new Set(study.tables.flatMap((table) => table.rows.flatMap((row) => Object.keys(row.by_seed))))].sort(compare))));
}

function within(budget) {
  return known(budget) ? `, budget ${budget}` : "";
}

function settingOf(table) {
  return `${table.task}, ${table.model}${within(table.budget)}`;
}

/** Of all tables: a method looks the same in each of them. */
function methodsOf(study) {
  return [...new Set(study.tables.flatMap((table) => table.rows.map((row) => row.method)))];
}

/** Points of a share or a correlation; of a log-likelihood its own unit. */
function points(value, metric) {
  return known(value) ? metric === "log_likelihood" ? value.toFixed(4) : (100 * value).toFixed(2) : dash;
}

function signedPoints(value, metric) {
  return signed(points(value, metric), value);
}

function pointsRange(interval, metric) {
  return known(interval) ? `[${signedPoints(interval[0], metric)}, ${signedPoints(interval[1], metric)}]` : dash;
}

/** What a difference shows; without an interval it says nothing. */
function verdict(comparison) {
  return comparison.shows ?? (known(comparison.student) ? "no difference" : comparison.why_unknown ?? "its spread is not known");
}

function overTasks(table) {
  return [
    element("div", {class: "card"}, element("h3", {}, "Ranks and means" + within(table.budget)),
      element("p", {class: "caption"}, "Means are in points, and each task and model counts alike. Ranks are over those that have all methods, 1 for the highest mean; by themselves they show no difference."),
      ...verdicts(table.comparisons),
      sortable("Ranks and means over all tasks" + within(table.budget), [
        {name: "method", value: (row) => row.method},
        {name: "tasks", kind: "number", value: (row) => row.tables},
        {name: "rank", kind: "number", value: (row) => row.rank, text: (row) => fixed(row.rank, 2)},
        {name: "mean", kind: "number", value: (row) => row.mean, text: (row) => points(row.mean)},
      ], table.rows)),
    differences("Over all tasks" + within(table.budget), table.comparisons),
  ];
}

/** In words, for each method that others are compared with. */
function verdicts(comparisons) {
  return [...d3.group(comparisons, (one) => one.to)].map(([to, own]) => {
    const said = [...d3.group(own, verdict)].map(([shown, those]) => `${shown}: ${those.map((one) => one.method).join(", ")}`);
    const none = own.every((one) => !known(one.shows) && known(one.student));
    return element("p", {}, element("b", {}, `Compared with ${to} `), none ? "no method shows a difference." : said.sort().join("; "));
  });
}

function methodsOnTask(study, table) {
  const methods = methodsOf(study);
  const costs = study.costs?.tables.find((own) => own.task === table.task && own.model === table.model && own.budget === table.budget);
  const spent = new Map(costs?.rows.map((row) => [row.method, (row.search_seconds ?? 0) + row.training_seconds]));
  return [
    ...verdicts(table.comparisons),
    element("div", {class: "pair"},
      methodsAgainst(table, methods, "trainable parameters", (row) => row.parameters, (value) => whole(Math.round(value)) + " parameters"),
      spent.size > 0 ? methodsAgainst(table, methods, "seconds of search and training", (row) => spent.get(row.method), seconds) : null),
    differences(settingOf(table), table.comparisons, table.metric),
  ];
}

/** A point for each method: its metric against a cost. */
function methodsAgainst(table, methods, cost, value, text) {
  const rows = table.rows.filter((row) => known(value(row)));
  const group = (row) => methods.indexOf(row.method);
  const result = (row) => metricText(row.mean, table.percent) + (known(row.interval) ? " " + rangeText(row.interval, table.percent) : "");
  const count = (row) => Object.keys(row.by_seed).length;
  return chart({
    title: `${settingOf(table)}: test ${table.label} against ${cost}`,
    caption: "Means over seeds" + (rows.some((row) => known(row.interval)) ? ", with their 95 % intervals by Student's t." : ".") + " Methods of about the same cost stand side by side.",
    alt: rows.map((row) => `${row.method}: ${metricText(row.mean, table.percent)}, ${text(value(row))}`).join(". "),
    legend: rows.map((row) => ({name: row.method, draw: (svg) => svg.append("path").attr("d", symbol(group(row))).attr("transform", "translate(11,7)").attr("class", "fill s" + group(row) % 8)})),
    draw: (width) => points2d({
      items: rows, bounds: boundsOf(table.metric), group, apart: width < 420 ? 4 : 6, x: value, y: (row) => row.mean, low: (row) => row.interval?.[0], high: (row) => row.interval?.[1],
      name: width >= 420 && rows.length <= 12 ? (row) => row.method : null, xLabel: cost, yLabel: "test " + table.label, xFormat: d3.format("~s"),
      yFormat: (number) => table.percent ? +(100 * number).toFixed(2) + " %" : digits(number),
      hint: (row) => [row.method, result(row), text(value(row)), `${count(row)} ${count(row) === 1 ? "seed" : "seeds"}`],
    })(width),
    table: {columns: columns("method", "learning rate", "seeds#", "test#", "low#", "high#", "deviation#", cost + "#"),
      rows: rows.map((row) => [row.method, row.learning_rate, count(row), row.mean, row.interval?.[0], row.interval?.[1], row.standard_deviation, value(row)])},
  });
}

/** A chart for each method that others are compared with. A difference is called one only where the study says that it shows. */
function differences(title, comparisons, metric) {
  if (comparisons.length === 0) return null;
  const mark = (name) => (svg) => svg.append("path").attr("d", symbol(0)).attr("transform", "translate(11,7)").attr("class", name + " s0");
  const unit = metric === "log_likelihood" ? "difference" : "points";
  const charts = [...d3.group(comparisons, (one) => one.to)].map(([to, own]) => {
    const ranges = own.some((one) => known(one.student));
    return chart({
      title: `${title}: difference to ${to}`,
      caption: "Paired by seed" + (ranges ? ", with 95 % intervals by Student's t. It shows only if neither interval holds zero and p is below 5 % after Holm's correction." : "; one seed has no interval, and no difference shows."),
      alt: own.map((one) => `${one.method}: ${signedPoints(one.difference, metric)} ${pointsRange(one.student, metric)}, ${verdict(one)}`).join(". "),
      legend: [{name: "shows", draw: mark("fill")}, {name: "does not", draw: mark("hollow")}],
      draw: intervals({
        items: own, label: (one) => one.method, value: (one) => one.difference, low: (one) => one.student?.[0] ?? one.difference, high: (one) => one.student?.[1] ?? one.difference,
        filled: (one) => known(one.shows), axis: unit, format: (number) => metric === "log_likelihood" ? digits(number) : digits(100 * number),
        hint: (one) => [`${one.method}: ${signedPoints(one.difference, metric)}`, pointsRange(one.student, metric), verdict(one)],
      }),
      table: {
        columns: [
          {name: "method", value: (one) => one.method},
          {name: "pairs", kind: "number", value: (one) => one.pairs},
          {name: "difference", kind: "number", value: (one) => one.difference, text: (one) => signedPoints(one.difference, metric)},
          {name: "Student", value: (one) => one.student?.[0], text: (one) => pointsRange(one.student, metric)},
          known(metric) ? {name: "bootstrap", value: (one) => one.bootstrap?.[0], text: (one) => pointsRange(one.bootstrap, metric)}
            : {name: "of seeds", value: (one) => one.of_seeds?.[0], text: (one) => pointsRange(one.of_seeds, metric)},
          {name: "p", kind: "number", value: (one) => one.p, text: (one) => fixed(one.p, 4)},
          {name: "p, Holm", kind: "number", value: (one) => one.p_holm, text: (one) => fixed(one.p_holm, 4)},
          {name: "shows", value: verdict},
        ],
        rows: own,
      },
    });
  });
  return element("div", {class: "pair"}, charts);
}

/** Searches beside each other and beside what trains without one; a part for each budget. */
function costSections(study) {
  if (!study.costs) return [];
  return [...d3.group(study.costs.tables, (table) => table.budget ?? null)].map(([budget, tables]) => {
    const title = "What each method costs" + within(budget);
    const methods = [...new Set(tables.flatMap((table) => table.rows.map((row) => row.method)))];
    const mean = (own, of) => d3.mean(own, of) ?? null;
    const onGpu = tables.some((table) => table.rows.some((row) => known(row.gpu_peak_bytes)));
    const items = methods.map((method) => {
      const own = tables.flatMap((table) => table.rows.filter((row) => row.method === method));
      const search = mean(own, (row) => row.search_seconds);
      return {name: method, values: {...known(search) ? {search} : {}, training: mean(own, (row) => row.training_seconds)}, ratio: mean(own, (row) => row.ratio)};
    });
    return {title, content: [chart({
      title: title + ": seconds",
      caption: "Means over runs" + (tables.length > 1 ? ", then over tasks" : "") + ", beside whatever else the machine did. Where there was a search, its time is given in trainings of its result.",
      alt: items.map((item) => `${item.name}: ${Object.entries(item.values).map(([name, value]) => name + " " + seconds(value)).join(", ")}`).join(". "),
      legend: phaseLegend(["search", "training"]),
      draw: phaseBars({items, phases: ["search", "training"], axis: "seconds", after: (item) => seconds(d3.sum(Object.values(item.values))) + (known(item.ratio) ? `, search ${digits(+item.ratio.toFixed(2))} ×` : "")}),
      table: {columns: columns("task", "model", "method", "search epochs#", "search (s)#", "training epochs#", "training (s)#", "ratio#", "search TFLOP#", "training TFLOP#", "peak (MB)#", ...onGpu ? ["GPU peak (MB)#"] : []),
        rows: tables.flatMap((table) => table.rows.map((row) => [table.task, table.model, row.method, row.search_epochs, row.search_seconds, row.training_epochs, row.training_seconds,
          row.ratio, scaled(row.search_flop, 1e12), scaled(row.training_flop, 1e12), scaled(row.peak_bytes, 1e6), ...onGpu ? [scaled(row.gpu_peak_bytes, 1e6)] : []]))},
    })]};
  });
}

function scaled(value, unit) {
  return known(value) ? value / unit : null;
}

function learningRates(study) {
  return element("div", {class: "card"}, element("h3", {}, "Rates that were chosen"),
    element("p", {class: "caption"}, "The best on validation data, on a seed that no table has. Values are in points, but of a log-likelihood."),
    sortable("Learning rates that were chosen", [
      {name: "task", value: (rate) => rate.task},
      {name: "model", value: (rate) => rate.model},
      {name: "method", value: (rate) => rate.method + (known(rate.budget) ? " " + rate.budget : "")},
      {name: "rate", kind: "number", value: (rate) => Number(rate.learning_rate), text: (rate) => rate.learning_rate},
      {name: "tried", kind: "text", value: (rate) => Object.entries(rate.tried).map(([tried, value]) => `${tried}: ${known(value) ? points(value, rate.metric) : "diverged"}`).join(", ")},
    ], study.learning_rates));
}
