/** Charts of a search: which modules went and why. */

/** A table of layers × modules; cell(place) gives a module's. */
function layersAndModules(caption, grid, cell) {
  const kinds = [...new Set(grid.map((place) => place.column))].sort();
  const layers = d3.group(grid, (place) => place.layer);
  return element("table", {class: "modules" + (kinds.length > 4 ? " dense" : "")},
    element("caption", {class: "hidden"}, caption),
    element("thead", {}, element("tr", {}, element("th", {scope: "col"}, "layer"), kinds.map((kind) => element("th", {scope: "col"}, kind)))),
    element("tbody", {}, [...layers.keys()].sort(d3.ascending).map((layer) => element("tr", {},
      element("th", {scope: "row", class: "number"}, layer < 0 ? "" : layer),
      kinds.map((kind) => {
        const place = layers.get(layer).find((each) => each.column === kind);
        return place ? cell(place) : element("td", {class: "none"});
      })))));
}

/** In how many searches over the same modules each was kept. */
function keptHowOften(runs) {
  const searches = runs.filter((run) => (run.rounds.length > 0 || run.measured || run.peer) && run.grid.every((place) => known(place.kept)));
  return [...d3.group(searches, (run) => run.grid.map((place) => place.module).join()).values()].filter((own) => own.length > 1).map((own) => {
    const cell = (place) => {
      const names = own.filter((run) => run.grid.some((each) => each.module === place.module && each.kept)).map((run) => run.name);
      const made = element("td", {tabindex: "0", class: names.length === own.length ? "kept" : null}, `${names.length} of ${own.length}`);
      if (names.length < own.length) made.style.backgroundColor = `rgba(var(--heat), ${0.5 * names.length / own.length})`;
      focusable(made, [`${brief(place.module)}: kept in ${names.length} of ${own.length} searches`, ...names.slice(0, 12)]);
      return made;
    };
    return element("div", {class: "card"}, element("h3", {}, "How often each module is kept"),
      element("p", {class: "caption"}, `Over ${own.length} searches of the same modules. By chance each would be kept in about ` +
        `${digits(d3.sum(own, (run) => run.grid.filter((place) => place.kept).length) / own[0].grid.length)} of them.`),
      element("div", {class: "scroll"}, layersAndModules("In how many searches each module is kept", own[0].grid, cell)));
  });
}

/** Layers × modules: kept, or the round in which each went, and how near that was. */
function moduleGrid(run) {
  const stories = moduleStories(run);
  const table = layersAndModules(gridTitle(run), run.grid, (place) => gridCell(run, place, stories.get(place.module) ?? []));
  return element("div", {class: "card"}, element("h3", {}, gridTitle(run)),
    element("p", {class: "caption"}, run.measured ? "Under each: what it is worth, in points." : run.peer ? "Under each: its score." : run.rounds.length === 0 ? "" :
      "Under each: its margin to the cut in its last round, in pruning probability. Near zero it might as well have gone the other way."),
    element("div", {class: "scroll"}, table));
}

function gridTitle(run) {
  if (run.rounds.length > 0) return "Modules: kept, or the round in which they went";
  return run.measured || run.peer ? "Modules: kept or not" : "Modules that were trained";
}

function gridCell(run, place, story) {
  const state = place.kept ? run.rounds.length > 0 || run.measured || run.peer ? "kept" : "trained" : place.round ? "round " + place.round : place.kept === null ? "not decided" : run.measured || run.peer ? "not kept" : "gone";
  const last = story.at(-1);
  const worth = run.measured?.values.find((value) => value.module === place.module);
  const score = run.peer?.scores.find((each) => each.module === place.module);
  const cell = element("td", {class: place.kept ? "kept" : place.kept === null && !place.round ? null : "gone", tabindex: "0"}, state,
    last && known(last.margin) ? element("small", {}, "margin " + Math.abs(last.margin).toFixed(2)) : null,
    worth ? element("small", {}, pointsText(worth.mean)) : null,
    score ? element("small", {}, digits(score.score)) : null);
  const lines = [brief(place.module) + ": " + state, ...story.map((each) =>
    `round ${each.round}: p ${fixed(each.probability, 2)}, place ${each.place} of ${each.of}` +
    (known(each.margin) ? `, ${fixed(Math.abs(each.margin), 2)} ${each.margin >= 0 ? "above" : "below"} the cut` : each.fate === "spared" ? ", " + spared : ""))];
  if (worth) lines.push(`worth ${pointsText(worth.mean)} (${pointsText(worth.low)} to ${pointsText(worth.high)})`);
  if (score) lines.push(`score ${digits(score.score)}: ${run.peer.meaning}`);
  if (last) {
    for (const [criterion, [raw, , rank, own]] of Object.entries(last.scores)) {
      lines.push(`${criterion in last.judges ? "●" : "○"} ${criterion} ${digits(raw)}, rank ${digits(rank)}, p ${fixed(own, 2)}`);
    }
    lines.push("● judges its partition");
  }
  focusable(cell, lines);
  return cell;
}

const spared = "spared as the last that fits the budget";

function pointsText(value) {
  return signed((100 * value).toFixed(2), value);
}

/** How each module stood in the rounds that judged it. */
function moduleStories(run) {
  const stories = new Map();
  for (const round of run.rounds) {
    for (const standing of round.standings) {
      if (!stories.has(standing.module)) stories.set(standing.module, []);
      stories.get(standing.module).push({
        ...standing, round: round.index, of: round.standings.length, judges: round.judges[standing.partition] ?? {},
      });
    }
  }
  return stories;
}

function typeOf(standing) {
  return standing.partition.split("/")[0];
}

/** Types of modules in the order of their colours and shapes. */
function types(run) {
  return [...new Set(run.rounds.flatMap((round) => round.standings.map(typeOf)))].sort();
}

/** The probability between the last that went and the first that stayed; none where all stayed. */
function cut(round) {
  const gone = round.standings.filter((each) => each.fate === "went");
  const left = round.standings.filter((each) => each.fate === "stayed");
  if (gone.length === 0 || left.length === 0) return null;
  return (gone.at(-1).probability + left[0].probability) / 2;
}

/** Each round: pruning probability of each module, and the cut. */
function margins(run) {
  const kinds = types(run);
  return chart({
    title: "Pruning probability and the cut, round by round",
    caption: "Filled went, hollow stayed. p is relative to the mean of the module's type, which is 1, so it can be above 1. The dashed line is the cut: what lies right of it went, until the round's share of the budget was met." +
      (run.rounds.some((round) => round.standings.some((each) => each.fate === "spared")) ? ` A hollow mark right of it was ${spared}.` : ""),
    alt: run.rounds.map((round) => `Round ${round.index}: ${round.standings.filter((each) => each.fate === "went").length} of ` +
      `${round.standings.length} modules went` + (known(cut(round)) ? `, the cut is at ${fixed(cut(round), 2)}` : "")).join(". "),
    legend: kinds,
    draw: (width) => {
      const wide = Math.max(1, Math.min(run.rounds.length, Math.floor(width / 215)));
      const each = Math.floor((width - (wide - 1) * 20) / wide);
      const grid = element("div", {class: "small"});
      grid.style.gridTemplateColumns = `repeat(${wide}, minmax(0, 1fr))`;
      const domain = roomy([0, ...run.rounds.flatMap((round) => round.standings.map((one) => one.probability))], 0.03);
      domain[0] = 0;
      run.rounds.forEach((round) => grid.append(element("div", {}, element("h4", {},
        `Round ${round.index}, to ${d3.format(".3~s")(round.parameters)} parameters`), marginPanel(round, kinds, domain, each))));
      return grid;
    },
    table: {
      columns: columns("round#", "place#", "module", "partition", "fate", "probability#", "margin to the cut#"),
      rows: run.rounds.flatMap((round) => round.standings.map((each) =>
        [round.index, each.place, each.module, each.partition, each.fate, each.probability, each.margin])),
    },
  });
}

function marginPanel(round, kinds, domain, width) {
  const many = round.standings.length > 28;
  const row = many ? 5 : 17;
  const longest = Math.min(14, d3.max(round.standings, (each) => brief(each.module).length));
  const f = frame(width, round.standings.length * row + 46, {top: 4, right: 10, bottom: 40, left: many ? 14 : longest * 6.8 + 14});
  const scale = d3.scaleLinear(domain, f.x);
  bottomAxis(f, scale, "pruning probability p", null, 4);
  const at = cut(round);
  if (known(at)) f.svg.append("line").attr("class", "rule").attr("x1", scale(at)).attr("x2", scale(at)).attr("y1", f.y[1]).attr("y2", f.y[0]);
  const called = briefly(round.standings.map((each) => brief(each.module)), 14);
  const rows = f.svg.append("g").selectAll("g").data(round.standings).join("g")
    .attr("class", (each) => "s" + kinds.indexOf(typeOf(each)) % 8)
    .attr("transform", (each, i) => `translate(0,${f.y[1] + (i + 0.5) * row})`);
  if (!many) rows.append("text").attr("x", f.x[0] - 8).attr("dy", "0.32em").attr("text-anchor", "end").text((each, i) => called[i]);
  if (known(at)) {
    rows.append("line").attr("class", "stroke").attr("x1", scale(at)).attr("x2", (each) => scale(each.probability)).attr("opacity", 0.5);
  }
  hints(rows.append("path").attr("transform", (each) => `translate(${scale(each.probability)},0)`)
    .attr("d", (each) => symbol(kinds.indexOf(typeOf(each)), many ? 22 : 56))
    .attr("class", (each) => each.fate === "went" ? "fill" : "hollow"), (each) => [
    `${brief(each.module)} ${each.fate} in round ${round.index}`,
    `p ${fixed(each.probability, 3)}, place ${each.place} of ${round.standings.length}`,
    known(each.margin) ? `${fixed(Math.abs(each.margin), 3)} ${each.margin >= 0 ? "above" : "below"} the cut` : each.fate === "spared" ? spared : "no cut",
    `partition ${each.partition}: ${Object.keys(round.judges[each.partition] ?? {}).join(", ") || "no judge"}`,
  ]);
  return f.svg.node();
}

/** In a partition: what a criterion's score is beside the rank that it gives. */
function scoresAndRanks(run) {
  const criteria = [...new Set(run.rounds.flatMap((round) => round.readings.map((reading) => reading.criterion)))];
  let shown = run.rounds.at(-1);
  const rows = (round) => round.standings.flatMap((each) => Object.entries(each.scores).map(([criterion, score]) => ({
    ...each, criterion, raw: score[0], scaled: score[1], rank: score[2], own: score[3], judges: criterion in (round.judges[each.partition] ?? {}),
  })));
  return chart({
    title: "Score against rank, by partition",
    caption: "Score on a scale from 0 (keep) to 1 (prune), rank 0 goes first. Filled marks are of criteria that judge the partition. " +
      "A steep line tells modules apart; a flat one has ranks that mean little.",
    alt: `Scores of ${criteria.length} criteria against the ranks that they give, a panel for each partition, for one round at a time.`,
    legend: criteria,
    controls: (redraw) => {
      const select = element("select", {}, run.rounds.map((round) => element("option", {value: round.index, selected: round === shown}, "round " + round.index)));
      select.addEventListener("change", () => {
        shown = run.rounds.find((round) => String(round.index) === select.value);
        redraw();
      });
      return element("p", {class: "control"}, element("label", {}, "Of ", select));
    },
    draw: (width) => {
      const panels = [...d3.group(rows(shown), (each) => each.partition)].sort((a, b) => compare(a[0], b[0]));
      const wide = Math.max(1, Math.min(4, Math.floor(width / 230)));
      const each = Math.floor((width - (wide - 1) * 18) / wide);
      const grid = element("div", {class: "small"});
      grid.style.gridTemplateColumns = `repeat(${wide}, minmax(0, 1fr))`;
      panels.forEach(([partition, marks]) => grid.append(element("div", {}, element("h4", {}, partition), rankPanel(marks, criteria, shown, each))));
      return grid;
    },
    table: {
      columns: columns("round#", "partition", "module", "criterion", "judges", "raw score#", "scaled#", "rank#", "probability#"),
      rows: run.rounds.flatMap((round) => rows(round).map((each) =>
        [round.index, each.partition, each.module, each.criterion, each.judges ? "yes" : "no", each.raw, each.scaled, each.rank, each.own])),
    },
  });
}

function rankPanel(marks, criteria, round, width) {
  const f = frame(width, 170, {top: 8, right: 10, bottom: 34, left: 30});
  const most = d3.max(round.standings.flatMap((each) => Object.values(each.scores).map((score) => score[2]))) || 1;
  const x = d3.scaleLinear([-0.4, most + 0.4], f.x);
  const y = d3.scaleLinear([-0.04, 1.04], f.y);
  leftAxis(f, y, null, null, 3);
  bottomAxis(f, x, "rank", null, 4);
  for (const [criterion, own] of d3.group(marks, (mark) => mark.criterion)) {
    const g = f.svg.append("g").attr("class", `s${criteria.indexOf(criterion) % 8}${own[0].judges ? "" : " faint"}`);
    const line = [...own].sort((a, b) => a.rank - b.rank);
    g.append("path").attr("class", "stroke").attr("stroke-dasharray", dashes[criteria.indexOf(criterion) % 8])
      .attr("d", d3.line((mark) => x(mark.rank), (mark) => y(mark.scaled))(line));
    hints(g.selectAll("path.mark").data(own).join("path").attr("class", (mark) => mark.judges ? "mark fill" : "mark hollow")
      .attr("d", symbol(criteria.indexOf(criterion), 38)).attr("transform", (mark) => `translate(${x(mark.rank)},${y(mark.scaled)})`), (mark) => [
      `${brief(mark.module)}, ${mark.criterion}${mark.judges ? "" : " (does not judge here)"}`,
      `raw ${digits(mark.raw)}, scaled ${fixed(mark.scaled, 3)}`, `rank ${digits(mark.rank)}, probability ${fixed(mark.own, 3)}`,
    ]);
  }
  return f.svg.node();
}

/** What each criterion removed in the warm-up, by type and depth, and which judge. */
function tendency({strategy}) {
  const partitions = strategy.partitions ?? Object.keys(strategy.assignment);
  if (partitions.length === 0) return null;
  const most = d3.max(Object.values(strategy.tallies ?? {}).flatMap((tally) => Object.values(tally))) || 1;
  const cells = (criterion) => partitions.map((partition) => {
    const count = strategy.tallies?.[criterion]?.[partition] ?? (strategy.tallies ? 0 : null);
    const judge = (strategy.assignment[partition] ?? []).includes(criterion);
    const cell = element("td", {class: judge ? "judge" : null}, known(count) ? count : "", judge ? " ●" : "");
    if (count) cell.style.backgroundColor = `rgba(var(--heat), ${0.08 + 0.4 * count / most})`;
    return cell;
  });
  return element("div", {class: "card"}, element("h3", {}, "What each criterion prunes, by type and depth"),
    element("p", {class: "caption"}, (strategy.tallies ? "How many modules it removed of each partition in the warm-up. " : "") +
      `● judges the partition. Blocks go from the first layers (1) to the last. Strategy: ${strategy.origin}.`),
    element("div", {class: "scroll", tabindex: "0", role: "group", "aria-label": "Tendencies"}, element("table", {class: "heat"},
      element("thead", {}, element("tr", {}, element("th", {scope: "col"}, "criterion"),
        partitions.map((partition) => element("th", {scope: "col"}, partition)))),
      element("tbody", {}, strategy.criteria.map((criterion) => element("tr", {}, element("th", {scope: "row"}, criterion), cells(criterion)))))));
}

/** How well the scores of two halves of the round's batches agree. */
function reliability(run) {
  const kinds = types(run);
  const readings = run.rounds.flatMap((round) => round.readings.map((reading) => ({...reading, round: round.index})));
  const seen = readings.filter((reading) => known(reading.reliability));
  if (seen.length === 0) return null;
  const rows = [...new Set(seen.map((reading) => reading.criterion + " · " + reading.type))];
  return chart({
    title: "Agreement of the two halves",
    caption: "Rank correlation of a criterion's scores from two halves of the round's batches; the figure is the round. " +
      "On average chance alone gives the dashed line, 0, and of few modules it reaches far to both sides of it. Criteria that see no data have none.",
    alt: rows.map((row) => row + ": " + seen.filter((reading) => reading.criterion + " · " + reading.type === row)
      .map((reading) => fixed(reading.reliability, 2)).join(", ")).join(". "),
    draw: (width) => {
      const most = d3.max(run.rounds, (round) => round.index);
      const row = Math.max(26, most * 9);
      const f = frame(width, rows.length * row + 46, {top: 4, right: 16, bottom: 40, left: 140});
      const scale = d3.scaleLinear([Math.min(-0.1, d3.min(seen, (reading) => reading.reliability) - 0.05), 1.04], f.x);
      bottomAxis(f, scale, "rank correlation");
      f.svg.append("line").attr("class", "rule").attr("x1", scale(0)).attr("x2", scale(0)).attr("y1", f.y[1]).attr("y2", f.y[0]);
      const lines = f.svg.append("g").selectAll("g").data(rows).join("g").attr("transform", (name, i) => `translate(0,${f.y[1] + i * row})`);
      lines.append("line").attr("class", "grid").attr("x1", f.x[0]).attr("x2", f.x[1]).attr("y1", row).attr("y2", row);
      lines.append("text").attr("x", f.x[0] - 8).attr("y", row / 2).attr("dy", "0.32em").attr("text-anchor", "end").text((name) => name);
      hints(f.svg.append("g").selectAll("text").data(seen).join("text")
        .attr("text-anchor", "middle").attr("font-weight", 600).attr("dy", "0.35em").attr("class", (reading) => "digit s" + kinds.indexOf(reading.type) % 8)
        .attr("x", (reading) => scale(reading.reliability))
        .attr("y", (reading) => f.y[1] + rows.indexOf(reading.criterion + " · " + reading.type) * row + (reading.round - 0.5) * row / most)
        .text((reading) => reading.round), (reading) => [
        `${reading.criterion}, ${reading.type}, round ${reading.round}`, `agreement ${fixed(reading.reliability, 2)}`,
        `spread ${digits(reading.spread)} of the mean`, reading.leftOut ? "left out: " + reading.leftOut : "has a say",
      ]);
      return f.svg.node();
    },
    table: {
      columns: columns("round#", "criterion", "type", "agreement#", "spread#", "left out"),
      rows: readings.map((reading) => [reading.round, reading.criterion, reading.type, reading.reliability, reading.spread, reading.leftOut]),
    },
  });
}

/** Values of modules, comparisons and the front of a measured search. */
function measuredCharts(run) {
  const {measured} = run;
  const {percent} = measured;
  const quantity = measured.quantity ?? "the metric";
  const points = pointsText;
  const rivals = Object.entries(measured.comparisons).map(([name, difference]) => ({name, ...difference}));
  const values = [...measured.values].sort((a, b) => b.mean - a.mean);
  const interval = (each) => `${points(each.low)} to ${points(each.high)}`;
  const verdict = (each) => each.low <= 0 && each.high >= 0 ? "no difference that shows: the interval holds zero" : each.mean > 0 ? "better" : "worse";
  const charts = [];
  if (rivals.length > 0) {
    charts.push(chart({
      title: "The choice against others, in points",
      caption: `Hundredths of ${quantity}, with 95 % intervals, on ${whole(measured.confirmationExamples)} examples by which subsets were not ranked. A line over zero is no difference that shows.`,
      alt: rivals.map((each) => `against ${each.name} ${points(each.mean)}, ${interval(each)}`).join(". "),
      draw: intervals({
        items: rivals, label: (each) => each.name, value: (each) => 100 * each.mean, low: (each) => 100 * each.low, high: (each) => 100 * each.high,
        filled: (each) => each.low > 0 || each.high < 0, axis: "points, choice less other",
        hint: (each) => ["against " + each.name, `${points(each.mean)} points (${interval(each)})`, verdict(each)],
      }),
      table: {
        columns: columns("against", "difference#", "low#", "high#", "verdict"),
        rows: rivals.map((each) => [each.name, each.mean, each.low, each.high, verdict(each)]),
      },
    }));
  }
  charts.push(chart({
    title: "What each module is worth, in points",
    caption: `By how much ${quantity} rises when the module is added to a random subset, with 95 % intervals. A point is a hundredth of it. Filled: kept.`,
    alt: values.map((each) => `${brief(each.module)} ${points(each.mean)}${each.kept ? ", kept" : ""}`).join(". "),
    draw: intervals({
      items: values, label: (each) => short(brief(each.module), 24), value: (each) => 100 * each.mean, low: (each) => 100 * each.low, high: (each) => 100 * each.high,
      filled: (each) => each.kept, axis: "points",
      hint: (each) => [brief(each.module) + (each.kept ? ": kept" : ": not kept"), `${points(each.mean)} points (${interval(each)})`],
    }),
    table: {
      columns: columns("module", "kept", "value#", "low#", "high#"),
      rows: values.map((each) => [each.module, each.kept ? "yes" : "no", each.mean, each.low, each.high]),
    },
  }));
  const names = Object.keys(measured.front[0]?.costs ?? {});
  const [cost] = names;
  if (cost) {
    const chosen = [...measured.kept].sort().join();
    const isChosen = (each) => [...each.modules].sort().join() === chosen;
    charts.push(chart({
      title: "Cheaper and more expensive configurations",
      caption: `By ${quantity}, no other is better at the same or lower costs (${names.join(", ").replace(/_/g, " ")}). Lines are 95 % intervals. Filled: the choice, where it is one of them.`,
      alt: measured.front.map((each) => `${digits(each.costs[cost])} ${cost}: ${metricText(each.metric.mean, percent)}`).join(". "),
      draw: points2d({
        items: measured.front, x: (each) => each.costs[cost], y: (each) => each.metric.mean, low: (each) => each.metric.low, high: (each) => each.metric.high,
        xLabel: cost.replace(/_/g, " "), yLabel: quantity, xFormat: d3.format("~s"),
        yFormat: (value) => percent ? +(100 * value).toFixed(2) + " %" : digits(value), filled: isChosen, line: names.length === 1,
        hint: (each) => [`${metricText(each.metric.mean, percent)} (${metricText(each.metric.low, percent)} to ${metricText(each.metric.high, percent)})`,
          ...Object.entries(each.costs).map(([name, value]) => `${name}: ${digits(value)}`),
          each.modules.map(brief).join(", ") || "no module"],
      }),
      table: {
        columns: columns(...names.map((name) => name + "#"), quantity + "#", "low#", "high#", "below all modules, on other examples#", "modules"),
        rows: measured.front.map((each) => [...names.map((name) => each.costs[name]), each.metric.mean, each.metric.low, each.metric.high, each.confirmed?.mean, each.modules.map(brief).join(", ")]),
      },
    }));
  }
  return charts;
}

/** Scores of modules and trials of a search that PrunePEFT is compared with. */
function peerCharts(run) {
  const {peer} = run;
  const scores = [...peer.scores].sort((a, b) => b.score - a.score);
  const charts = [chart({
    title: `The score of each module, by ${peer.method}`,
    caption: `The score is ${peer.meaning}. Filled: kept. Trainings of the search: ${peer.effort.trainings}; epochs: ${peer.effort.epochs}, of ${whole(peer.effort.examples)} examples.`,
    alt: scores.map((each) => `${brief(each.module)} ${digits(each.score)}${each.kept ? ", kept" : ""}`).join(". "),
    draw: intervals({
      items: scores, label: (each) => short(brief(each.module), 24), value: (each) => each.score, low: (each) => each.score, high: (each) => each.score,
      filled: (each) => each.kept, axis: "score",
      hint: (each) => [brief(each.module) + (each.kept ? ": kept" : ": not kept"), `score ${digits(each.score)}`],
    }),
    table: {
      columns: columns("module", "kept", "score#"),
      rows: scores.map((each) => [each.module, each.kept ? "yes" : "no", each.score]),
    },
  })];
  if (peer.trials.length > 0) {
    const percent = run.metric?.percent;
    const trials = peer.trials.map((each, i) => ({...each, number: i + 1}));
    charts.push(chart({
      title: "Trials", caption: "The metric of each subset on validation data, in the order of the search.",
      alt: trials.map((each) => `trial ${each.number}: ${metricText(each.metric, percent)}`).join(". "),
      draw: points2d({
        items: trials, x: (each) => each.number, y: (each) => each.metric, low: (each) => each.metric, high: (each) => each.metric,
        xLabel: "trial", yLabel: run.metric?.label ?? "metric", xFormat: d3.format("d"),
        yFormat: (value) => percent ? +(100 * value).toFixed(2) + " %" : digits(value),
        filled: (each) => each.metric === d3.max(trials, (other) => other.metric), line: false,
        hint: (each) => [`trial ${each.number}: ${metricText(each.metric, percent)}${each.diverged ? ", the head alone: it diverged" : ""}`, each.modules.map(brief).join(", ")],
      }),
      table: {
        columns: columns("trial#", "metric#", "diverged", "modules"),
        rows: trials.map((each) => [each.number, each.metric, each.diverged ?? "", each.modules.map(brief).join(", ")]),
      },
    }));
  }
  return charts;
}
