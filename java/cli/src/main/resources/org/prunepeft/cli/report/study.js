/** Tables of a study: methods on each task, their differences, and the metric against parameters. */
function studyStory(study) {
  const parts = [element("h2", {}, "Study " + study.study)];
  if (study.missing.length > 0) parts.push(notes([`${study.missing.length} runs are missing: ${study.missing.slice(0, 8).join(", ")}${study.missing.length > 8 ? ", …" : ""}`]));
  study.overall.forEach((table) => parts.push(overTasks(table)));
  study.tables.forEach((table) => parts.push(...methodsOnTask(table)));
  return parts.filter(known);
}

function within(budget) {
  return known(budget) ? `, budget ${budget}` : "";
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

function overTasks(table) {
  return element("div", {class: "card"}, element("h3", {}, "Over all tasks" + within(table.budget)),
    element("p", {class: "caption"}, "Each task and model counts alike. Ranks are over those that have all methods, 1 for the best."),
    sortable("Over all tasks", [
      {name: "method", value: (row) => row.method},
      {name: "tasks", kind: "number", value: (row) => row.tables},
      {name: "rank", kind: "number", value: (row) => row.rank, text: (row) => fixed(row.rank, 2)},
      {name: "mean, points", kind: "number", value: (row) => row.mean, text: (row) => points(row.mean)},
    ], table.rows), differences(table.comparisons));
}

function methodsOnTask(table) {
  const title = `${table.task}, ${table.model}${within(table.budget)}`;
  return [
    chart({
      title: `${title}: test ${table.label} against trainable parameters`,
      caption: "A point for each method: its mean over seeds, with the 95 % interval by Student's t where there are two seeds or more.",
      alt: table.rows.map((row) => `${row.method}: ${metricText(row.mean, table.percent)}, ${whole(Math.round(row.parameters))} parameters`).join(". "),
      draw: points2d({
        items: table.rows, x: (row) => row.parameters, y: (row) => row.mean, low: (row) => row.interval?.[0], high: (row) => row.interval?.[1],
        name: table.rows.length <= 12 ? (row) => row.method : null, xLabel: "trainable parameters", yLabel: "test", xFormat: d3.format("~s"),
        yFormat: (number) => table.percent ? +(100 * number).toFixed(2) + " %" : digits(number),
        hint: (row) => [row.method, metricText(row.mean, table.percent) + (known(row.interval) ? " " + rangeText(row.interval, table.percent) : ""),
          `${whole(Math.round(row.parameters))} parameters`, `${Object.keys(row.by_seed).length} seeds`],
      }),
      table: {columns: columns("method", "learning rate", "seeds#", "test#", "low#", "high#", "deviation#", "parameters#"),
        rows: table.rows.map((row) => [row.method, row.learning_rate, Object.keys(row.by_seed).length, row.mean, row.interval?.[0], row.interval?.[1],
          row.standard_deviation, Math.round(row.parameters)])},
    }),
    table.comparisons.length > 0 ? element("div", {class: "card"}, element("h3", {}, title + ": differences"), differences(table.comparisons, table.metric)) : null,
  ];
}

/** A difference is called one only where the study says that it shows. */
function differences(comparisons, metric) {
  if (comparisons.length === 0) return null;
  return element("div", {}, element("p", {class: "caption"}, "In points, paired by seed. A difference shows only if neither interval holds zero and p is below 5 % after Holm's correction."),
    sortable("Differences", [
      {name: "method", value: (row) => row.method},
      {name: "to", value: (row) => row.to},
      {name: "pairs", kind: "number", value: (row) => row.pairs},
      {name: "difference", kind: "number", value: (row) => row.difference, text: (row) => signedPoints(row.difference, metric)},
      {name: "Student", value: (row) => row.student?.[0], text: (row) => pointsRange(row.student, metric)},
      {name: "bootstrap", value: (row) => row.bootstrap?.[0], text: (row) => pointsRange(row.bootstrap, metric)},
      {name: "p, Holm", kind: "number", value: (row) => row.p_holm, text: (row) => fixed(row.p_holm, 4)},
      {name: "shows", value: (row) => row.shows ?? "no difference"},
    ], comparisons));
}
