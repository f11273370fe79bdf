/** Charts of trainings and results. */

/** Points in two dimensions, with intervals, a line and names where there are any; along the bottom as many pixels apart. bounds: what y cannot go beyond. */
function points2d({items, x, y, low, high, group, filled, hint, name, xLabel, yLabel, xFormat, yFormat, line, diagonal, bounds, apart = 0, height = 280}) {
  return (width) => {
    const f = frame(width, height, {top: 24, right: 18, bottom: 44, left: 58});
    const all = items.flatMap((item) => [y(item), low ? low(item) : null, high ? high(item) : null]);
    const domain = roomy(diagonal ? [...all, ...items.map(x)] : items.map(x));
    const sx = d3.scaleLinear(domain, f.x);
    const sy = d3.scaleLinear(diagonal ? domain : clipped(roomy(all), bounds), f.y);
    const top = (item) => sy(bounds ? Math.min(high(item), bounds[1]) : high(item));
    const bottom = (item) => sy(bounds ? Math.max(low(item), bounds[0]) : low(item));
    leftAxis(f, sy, yLabel, yFormat);
    bottomAxis(f, sx, xLabel, xFormat);
    if (diagonal) {
      f.svg.append("line").attr("class", "rule").attr("x1", sx(domain[0])).attr("y1", sy(domain[0])).attr("x2", sx(domain[1])).attr("y2", sy(domain[1]));
    }
    if (line) {
      f.svg.append("path").attr("class", "stroke s0").attr("opacity", 0.5)
        .attr("d", d3.line((item) => sx(x(item)), (item) => sy(y(item)))([...items].sort((a, b) => x(a) - x(b))));
    }
    const places = spread(items.map((item) => sx(x(item))), apart);
    const at = new Map(items.map((item, i) => [item, places[i]]));
    const marks = f.svg.append("g").selectAll("g").data(items).join("g")
      .attr("class", (item) => "s" + (group ? group(item) : 0) % 8).attr("transform", (item) => `translate(${at.get(item)},0)`);
    if (low) {
      marks.filter((item) => known(low(item))).append("line").attr("class", "stroke").attr("y1", bottom).attr("y2", top);
    }
    hints(marks.append("path").attr("transform", (item) => `translate(0,${sy(y(item))})`).attr("d", (item) => symbol(group ? group(item) : 0, diagonal ? 22 : 64))
      .attr("class", (item) => !filled || filled(item) ? "fill" : "hollow"), hint);
    if (name) {
      const taken = items.map((item) => around(at.get(item), sy(y(item)), 7, 7));
      if (low) {
        items.filter((item) => known(low(item))).forEach((item) => taken.push({left: at.get(item) - 2, right: at.get(item) + 2, top: top(item), bottom: bottom(item)}));
      }
      const names = briefly(items.map(name), 22);
      f.svg.append("g").selectAll("text").data(items.map((item, i) => freePlace(names[i], at.get(item), sy(y(item)), f, taken)).filter(known)).join("text")
        .attr("class", "soft").attr("x", (place) => place.x).attr("y", (place) => place.y).attr("dy", "0.32em").attr("text-anchor", (place) => place.anchor).text((place) => place.text);
    }
    return f.svg.node();
  };
}

/** A domain without what is beyond the bounds, if there are any. */
function clipped([low, high], bounds) {
  return bounds ? [Math.max(low, bounds[0]), Math.min(high, bounds[1])] : [low, high];
}

/** Places as near to those wanted as they can be at this distance from each other, in the same order. */
function spread(wanted, apart) {
  const blocks = [];
  for (const i of d3.range(wanted.length).sort((a, b) => wanted[a] - wanted[b])) {
    let block = {members: [i], middle: wanted[i]};
    while (blocks.length > 0 && block.middle - blocks.at(-1).middle < apart * (block.members.length + blocks.at(-1).members.length) / 2) {
      const members = [...blocks.pop().members, ...block.members];
      block = {members, middle: d3.mean(members, (member) => wanted[member])};
    }
    blocks.push(block);
  }
  const places = [];
  blocks.forEach(({members, middle}) => members.forEach((member, k) => { places[member] = middle + apart * (k - (members.length - 1) / 2); }));
  return places;
}

function around(x, y, halfWidth, halfHeight) {
  return {left: x - halfWidth, right: x + halfWidth, top: y - halfHeight, bottom: y + halfHeight};
}

/** Where a text stands beside a point without covering what is there; null: nowhere. What it covers is taken then. */
function freePlace(text, x, y, f, taken) {
  const wide = text.length * 6.8;
  for (const [dx, dy] of [[10, 0], [-10, 0], [10, -13], [-10, -13], [10, 13], [-10, 13], [10, -26], [-10, -26], [10, 26], [-10, 26]]) {
    const left = dx > 0 ? x + dx : x + dx - wide;
    const box = {left, right: left + wide, top: y + dy - 6.5, bottom: y + dy + 6.5};
    const inside = box.left >= f.x[0] && box.right <= f.width && box.top >= f.y[1] - 6 && box.bottom <= f.y[0] - 1;
    if (inside && !taken.some((other) => box.left < other.right && box.right > other.left && box.top < other.bottom && box.bottom > other.top)) {
      taken.push(box);
      return {text, x: x + dx, y: y + dy, anchor: dx > 0 ? "start" : "end"};
    }
  }
  return null;
}

/** Lines of several trainings over steps or epochs: {name, values: [[x, y]], marks}. */
function lines({series, xLabel, yLabel, yFormat, point = false}) {
  return (width) => {
    const f = frame(width, 260, {top: 24, right: 18, bottom: 44, left: 58});
    const x = d3.scaleLinear(roomy(series.flatMap((each) => each.values.map((value) => value[0])), 0.02), f.x);
    const y = d3.scaleLinear(roomy(series.flatMap((each) => each.values.map((value) => value[1]))), f.y);
    leftAxis(f, y, yLabel, yFormat);
    bottomAxis(f, x, xLabel, d3.format("~s"), x.ticks(ticksIn(width)).filter(Number.isInteger));
    series.forEach((each, i) => {
      const g = f.svg.append("g").attr("class", "s" + i % 8);
      const values = each.values.filter((value) => known(value[1]));
      g.append("path").attr("class", "stroke").attr("stroke-dasharray", dashes[i % 8]).attr("d", d3.line((value) => x(value[0]), (value) => y(value[1]))(values));
      hints(g.selectAll("path.mark").data(values).join("path").attr("class", point ? "mark fill" : "mark unseen").attr("d", symbol(i, point ? 40 : 60))
        .attr("transform", (value) => `translate(${x(value[0])},${y(value[1])})`), (value) =>
        [each.name, `${xLabel} ${digits(value[0])}`, `${yLabel} ${yFormat ? yFormat(value[1]) : digits(value[1])}`]);
    });
    return f.svg.node();
  };
}

/** A legend of lines. */
function lineLegend(names) {
  return names.map((name, i) => ({
    name, draw: (svg) => svg.append("line").attr("class", "stroke s" + i % 8).attr("stroke-dasharray", dashes[i % 8]).attr("x2", 22).attr("y1", 7).attr("y2", 7),
  }));
}

/** Losses by step and epoch, and the metric on validation data; of the training that is kept, and of the rounds. */
function learningCurves(run) {
  const charts = [];
  const kept = run.curves.find((curve) => curve.training === "train");
  const searched = run.curves.filter((curve) => curve.losses.length > 0 && curve !== kept);
  const rounds = searched.filter((curve) => !curve.training.startsWith("warm-up"));
  if (rounds.length > 0) {
    charts.push(losses(rounds, "Training loss of the search", searched.length > rounds.length ? "Warm-up trainings are left out." : ""));
  } else if (searched.length > 0) {
    charts.push(losses(searched.slice(-8), "Training loss of the warm-up", searched.length > 8 ? "The last eight trainings." : ""));
  }
  if (kept && kept.losses.length > 0) {
    charts.push(losses([kept], rounds.length > 0 ? "Training loss of the retraining" : "Training loss", ""));
    const validated = kept.epochs.filter((epoch) => known(epoch.validation.loss));
    if (validated.length > 0) {
      // The losses of numbers have other units: in training they are scaled.
      const series = [run.kind === "regression" ? null : {name: "training loss", values: kept.epochs.map((epoch) => [epoch.epoch, epoch.loss])},
        {name: "validation loss", values: validated.map((epoch) => [epoch.epoch, epoch.validation.loss])}].filter(known);
      charts.push(chart({
        title: run.kind === "regression" ? "Validation loss by epoch" : "Loss by epoch",
        caption: !known(run.bestEpoch) ? "" : run.bestEpoch > 0 ? `The weights of epoch ${run.bestEpoch} are kept.` : "No epoch was better than what the training began with, which is kept.",
        alt: series.map((each) => `${each.name}: ${each.values.map((value) => digits(value[1])).join(", ")}`).join(". "),
        legend: lineLegend(series.map((each) => each.name)), draw: lines({series, xLabel: "epoch", yLabel: "loss", point: true}),
        table: {columns: columns("epoch#", "training loss#", "validation loss#"), rows: kept.epochs.map((epoch) => [epoch.epoch, epoch.loss, epoch.validation.loss])},
      }));
      const keys = Object.keys(validated[0].validation).filter((key) => key !== "loss");
      const metrics = keys.map((key) => ({name: key.replace(/_/g, " "), values: validated.map((epoch) => [epoch.epoch, epoch.validation[key]])}));
      const percent = keys.every(isShare) ? (number) => +(100 * number).toFixed(2) + " %" : undefined;
      if (keys.length > 0) {
        charts.push(chart({
          title: "Validation metrics by epoch", caption: "",
          alt: metrics.map((each) => `${each.name}: ${each.values.map((value) => digits(value[1])).join(", ")}`).join(". "),
          legend: lineLegend(metrics.map((each) => each.name)), draw: lines({series: metrics, xLabel: "epoch", yLabel: "metric", yFormat: percent, point: true}),
          table: {columns: columns("epoch#", ...keys.map((key) => key.replace(/_/g, " ") + "#")), rows: validated.map((epoch) => [epoch.epoch, ...keys.map((key) => epoch.validation[key])])},
        }));
      }
    }
  }
  return charts;
}

function losses(curves, title, caption) {
  const series = curves.map((curve) => ({
    name: curve.training, values: curve.losses.map((loss, i) => [Math.min(curve.steps, (i + 1) * curve.stepsAPoint), loss]),
  }));
  const each = d3.max(curves, (curve) => curve.stepsAPoint);
  return chart({
    title, caption: (each > 1 ? `Each point is the mean of ${each} steps. ` : "") + caption,
    alt: curves.map((curve) => `${curve.training}: from ${digits(curve.losses[0])} to ${digits(curve.losses.at(-1))} in ${curve.steps} ${curve.steps === 1 ? "step" : "steps"}`).join(". "),
    legend: series.length > 1 ? lineLegend(series.map((one) => one.name)) : null,
    draw: lines({series, xLabel: "step", yLabel: "loss"}),
    table: {columns: columns("training", "step#", "loss#"), rows: series.flatMap((one) => one.values.map((value) => [one.name, value[0], value[1]]))},
  });
}

/** Time and memory; null where neither is known. */
function byPhase(runs) {
  const charts = [timeByPhase(runs),
    memoryByPhase(runs, "memory", "Peak memory by phase", "The most main memory that the process had resident at a time, Java's heap included."),
    memoryByPhase(runs, "gpuMemory", "Peak GPU memory by phase", "The most memory of the GPU that tensors had at a time."),
  ].filter(known);
  return charts.length > 0 ? element("div", {class: "pair"}, charts) : null;
}

/** A bar for each run, in parts. */
function timeByPhase(runs) {
  const timed = runs.filter((run) => Object.keys(run.phases).length > 0);
  if (timed.length === 0) return null;
  const phases = phasesOf(timed, "phases");
  const many = timed.length > 1;
  const baseline = timed.every(isText) ? "measuring the model without modules" : "the frozen encoder's outputs, fitting the head";
  return chart({
    title: "Where the time went", caption: `Preparation: loading, tokenising, ${baseline}.`,
    alt: timed.map((run) => `${run.name}: ${Object.entries(run.phases).map(([name, value]) => name + " " + seconds(value)).join(", ")}`).join(". "),
    legend: phaseLegend(phases),
    draw: phaseBars({items: timed.map((run) => ({name: run.name, values: run.phases})), phases, axis: "seconds", named: many}),
    table: {columns: columns("run", ...phases.map((phase) => phase + " (s)#")), rows: timed.map((run) => [run.name, ...phases.map((phase) => run.phases[phase])])},
  });
}

/** A bar for each item, {name, values: seconds by phase}, in parts; after(item) gives a text behind it. */
function phaseBars({items, phases, axis, named = true, after}) {
  return (width) => {
    const row = 28;
    const longest = after ? d3.max(items, (item) => after(item).length) * 6.4 + 8 : 16;
    // Where there is little room it stands under the bar's beginning instead, in a row of its own.
    const beside = longest < width * 0.4;
    const high = after && !beside ? row + 16 : row;
    const f = frame(width, items.length * high + 46, {top: 4, right: beside ? longest : 16, bottom: 40, left: named ? Math.min(150, width * 0.3) : 8});
    const scale = d3.scaleLinear([0, d3.max(items, (item) => d3.sum(Object.values(item.values)))], f.x);
    bottomAxis(f, scale, axis);
    items.forEach((item, i) => {
      let from = 0;
      const y = f.y[1] + i * high + 3;
      if (named) runName(f, items, i, y + row / 2 - 3);
      for (const phase of phases.filter((name) => item.values[name])) {
        const part = f.svg.append("g").attr("class", phaseColour(phase));
        const wide = scale(from + item.values[phase]) - scale(from);
        hints(part.append("rect").datum(phase).attr("class", "fill").attr("x", scale(from)).attr("y", y).attr("width", Math.max(0.5, wide - 1)).attr("height", row - 8),
          () => [`${phase}: ${seconds(item.values[phase])}`, item.name]);
        if (wide > phase.length * 7 + 10) {
          part.append("text").attr("class", "onfill").attr("x", scale(from) + wide / 2).attr("y", y + row / 2 - 4).attr("dy", "0.32em")
            .attr("text-anchor", "middle").text(phase);
        }
        from += item.values[phase];
      }
      if (after) {
        f.svg.append("text").attr("class", "soft").attr("x", beside ? scale(from) + 6 : f.x[0]).attr("y", beside ? y + row / 2 - 4 : y + row).attr("dy", "0.32em").text(after(item));
      }
    });
    return f.svg.node();
  };
}

/** A bar for each phase of each run; member has the bytes by phase. */
function memoryByPhase(runs, member, title, caption) {
  const measured = runs.filter((run) => Object.keys(run[member]).length > 0);
  if (measured.length === 0) return null;
  const phases = phasesOf(measured, member);
  const many = measured.length > 1;
  return chart({
    title, caption,
    alt: measured.map((run) => `${run.name}: ${Object.entries(run[member]).map(([name, value]) => name + " " + bytes(value)).join(", ")}`).join(". "),
    legend: phaseLegend(phases),
    draw: (width) => {
      const bar = 16;
      const own = (run) => phases.filter((phase) => known(run[member][phase]));
      const f = frame(width, d3.sum(measured, (run) => own(run).length * bar + 8) + 46, {top: 4, right: 64, bottom: 40, left: many ? Math.min(150, width * 0.3) : 8});
      const scale = d3.scaleLinear([0, d3.max(measured, (run) => d3.max(Object.values(run[member])))], f.x);
      bottomAxis(f, scale, null, bytes, Math.max(2, Math.min(6, width / 110)));
      let top = f.y[1];
      measured.forEach((run, i) => {
        if (many) runName(f, measured, i, top + own(run).length * bar / 2);
        own(run).forEach((phase) => {
          const part = f.svg.append("g").attr("class", phaseColour(phase));
          const end = scale(run[member][phase]);
          hints(part.append("rect").datum(phase).attr("class", "fill").attr("x", f.x[0]).attr("y", top).attr("width", end - f.x[0]).attr("height", bar - 3),
            () => [`${phase}: ${bytes(run[member][phase])}`, run.name]);
          part.append("text").attr("class", "soft").attr("x", end + 5).attr("y", top + bar / 2 - 1).attr("dy", "0.32em").text(bytes(run[member][phase]));
          top += bar;
        });
        top += 8;
      });
      return f.svg.node();
    },
    table: {columns: columns("run", ...phases.map((phase) => phase + " (bytes)#")), rows: measured.map((run) => [run.name, ...phases.map((phase) => run[member][phase])])},
  });
}

/** The phases of which one of the runs has a number, in their order. */
function phasesOf(runs, member) {
  return data.phases.filter((phase) => runs.some((run) => known(run[member][phase])));
}

function phaseColour(phase) {
  return "s" + data.phases.indexOf(phase) % 8;
}

function phaseLegend(phases) {
  return phases.map((name) => ({name, draw: (svg) => svg.append("rect").attr("class", "fill " + phaseColour(name)).attr("width", 14).attr("height", 12).attr("x", 4).attr("y", 1)}));
}

/** Names of runs differ at their ends. */
function shortWithin(text, most) {
  const kept = Math.floor((most - 1) / 2);
  return text.length > most ? text.slice(0, most - 1 - kept) + "…" + text.slice(-kept) : text;
}

/** The name of one of several beside its bar. */
function runName(f, items, i, y) {
  const names = briefly(items.map((item) => item.name), Math.floor((f.x[0] - 8) / 6.9), shortWithin);
  f.svg.append("text").attr("x", f.x[0] - 8).attr("y", y).attr("dy", "0.32em").attr("text-anchor", "end").text(names[i]);
}

/** Rows are what was right, columns what was predicted. */
function confusionMatrix({confusion: {labels, counts}}) {
  const totals = counts.map((row) => d3.sum(row));
  const cells = counts.flatMap((row, i) => row.map((count, j) => ({i, j, count, share: totals[i] ? count / totals[i] : 0})));
  const wrong = cells.filter((cell) => cell.i !== cell.j && cell.count > 0).sort((a, b) => b.count - a.count);
  return chart({
    title: "Confusion matrix of the test part",
    caption: "Right labels in rows, predictions in columns; the darker, the larger the share of its row.",
    alt: `${labels.length} classes. ` + (wrong.length === 0 ? "No mistakes." : "Taken for each other most: " + wrong.slice(0, 3)
      .map((cell) => `${labels[cell.i]} for ${labels[cell.j]}, ${cell.count} times`).join("; ")),
    draw: (width) => {
      const longest = Math.min(18, d3.max(labels, (label) => label.length));
      const wanted = Math.min(longest * 6.6 + 12, width * 0.34);
      const names = (width - wanted - 8) / labels.length >= 9;
      const left = names ? wanted : 2;
      const size = Math.max(5, Math.min(64, (width - left - 8) / labels.length));
      const f = frame(left + size * labels.length + 8, size * labels.length + left + 8, {top: left, right: 8, bottom: 8, left});
      const most = Math.floor(left / 6.6) - 1;
      const turned = longest * 6.6 + 4 > size;
      if (names) {
        f.svg.append("g").selectAll("text").data(labels).join("text").attr("x", left - 6).attr("y", (label, i) => left + (i + 0.5) * size)
          .attr("dy", "0.32em").attr("text-anchor", "end").attr("font-size", Math.min(12, size)).text((label) => short(label, most));
        f.svg.append("g").selectAll("text").data(labels).join("text").attr("transform", (label, i) => `translate(${left + (i + 0.5) * size},${left - 6})` + (turned ? " rotate(-90)" : ""))
          .attr("dy", turned ? "0.32em" : null).attr("text-anchor", turned ? null : "middle").attr("font-size", Math.min(12, size)).text((label) => short(label, most));
      }
      const places = f.svg.append("g").selectAll("g").data(cells).join("g").attr("transform", (cell) => `translate(${left + cell.j * size},${left + cell.i * size})`);
      hints(places.append("rect").attr("width", size - 1).attr("height", size - 1).attr("class", (cell) => cell.i === cell.j ? "cell right" : "cell")
        .attr("fill-opacity", (cell) => cell.count === 0 ? 0.03 : 0.1 + 0.9 * cell.share), (cell) => [
        `${labels[cell.i]} ${cell.i === cell.j ? "recognised" : "taken for " + labels[cell.j]}`,
        `${cell.count} of ${totals[cell.i]} (${(100 * cell.share).toFixed(1)} %)`,
      ]);
      if (size >= 22) {
        places.filter((cell) => cell.count > 0).append("text").attr("class", (cell) => cell.share > 0.5 ? "onfill" : null).attr("x", size / 2).attr("y", size / 2)
          .attr("dy", "0.32em").attr("text-anchor", "middle").attr("font-size", Math.min(12, size / 2.2)).text((cell) => cell.count);
      }
      return f.svg.node();
    },
    table: {
      columns: columns("right label", "predicted", "examples#", "share of the label#"),
      rows: cells.filter((cell) => cell.count > 0).sort((a, b) => b.count - a.count).map((cell) => [labels[cell.i], labels[cell.j], cell.count, cell.share]),
    },
  });
}

function numbersChart({numbers}) {
  return chart({
    title: "Predicted against right numbers", caption: "On the dashed line they are the same. At most 600 examples of the test part.",
    alt: `${numbers.length} test examples, predictions against targets.`,
    draw: points2d({
      items: numbers, x: (pair) => pair[0], y: (pair) => pair[1], xLabel: "right", yLabel: "predicted", diagonal: true, height: 340, filled: () => false,
      hint: (pair) => [`right ${digits(pair[0])}`, `predicted ${digits(pair[1])}`],
    }),
    table: {columns: columns("right#", "predicted#"), rows: numbers},
  });
}

/** Whether it is a language model's run, which has no head and no classes. */
function isText(run) {
  return run.kind === "language_modeling";
}

/** What is shown of the worst predictions, by kind of task. */
const worst = {
  classification: {title: "Most confident mistakes", columns: [
    {name: "right", value: (each) => each.target}, {name: "predicted", value: (each) => each.predicted},
    figure("probability", (each) => each.severity, (value) => (100 * value).toFixed(1) + " %")]},
  regression: {title: "Furthest off", columns: [
    figure("right", (each) => each.target), figure("predicted", (each) => each.predicted), figure("off by", (each) => each.severity)]},
  language_modeling: {title: "Least probable texts", caption: "By the mean log-likelihood of a token that contributes to the loss.", columns: [
    figure("log-likelihood", (each) => each.predicted), figure("perplexity", (each) => Math.exp(each.severity)), figure("tokens", (each) => each.target)]},
};

function figure(name, value, text = digits) {
  return {name, kind: "number", value, text: (each) => text(value(each))};
}

/** Of the test part: the mistakes with the highest predicted probability, what is furthest off, or the least probable texts. */
function mistakes(run) {
  const {title, caption = "", columns: own} = worst[run.kind];
  const texts = run.mistakes.some((each) => known(each.text));
  const example = texts ? {name: "text", kind: "text", value: (each) => each.text, text: (each) => known(each.text) ? each.text + (known(each.pair) ? "\n" + each.pair : "") : each.example}
    : {name: "example", value: (each) => each.example};
  return element("div", {class: "card"}, element("h3", {}, title),
    element("p", {class: "caption"}, caption + (texts ? "" : " Examples by the beginning of their checksum; their texts are not in this page.")),
    sortable(`${title} of ${run.name}`, [...own, example], run.mistakes));
}
