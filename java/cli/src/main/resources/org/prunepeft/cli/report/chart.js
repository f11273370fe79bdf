/** Frames of charts: what they say in words, the data under them, hints on hover and by arrow keys, redrawn to the width that there is. */
const shapes = [d3.symbolCircle, d3.symbolSquare2, d3.symbolTriangle2, d3.symbolDiamond2, d3.symbolCross, d3.symbolStar, d3.symbolTimes, d3.symbolWye];
const dashes = [null, "6 3", "2 3", "8 3 2 3", "1 4", "10 4", "4 2", "2 6"];

const tip = element("div", {class: "tip", hidden: true, role: "status"});

function showTip(lines, x, y) {
  tip.replaceChildren(element("b", {}, lines[0]), ...lines.slice(1).map((line) => element("span", {}, line)));
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  const right = document.documentElement.clientWidth;
  tip.style.left = Math.max(8, Math.min(x + 14, right - box.width - 8)) + window.scrollX + "px";
  tip.style.top = (y + box.height + 22 > window.innerHeight ? y - box.height - 10 : y + 16) + window.scrollY + "px";
}

function hideTip() {
  tip.hidden = true;
}

/** Gives an element a hint. */
function hinted(node, lines) {
  node.hint = lines;
  node.addEventListener("pointermove", (event) => showTip(lines, event.clientX, event.clientY));
  node.addEventListener("pointerleave", hideTip);
}

/** Gives a hint to an element that has the focus by itself. */
function focusable(node, lines) {
  hinted(node, lines);
  node.addEventListener("focus", () => {
    const box = node.getBoundingClientRect();
    showTip(lines, box.left, box.bottom - 12);
  });
  node.addEventListener("blur", hideTip);
}

function hints(selection, lines) {
  return selection.each(function (datum) { hinted(this, lines(datum)); });
}

/**
 * A figure. draw(width) gives an SVG node or several; alt says what it shows in words; table has {columns, rows} of its data.
 */
function chart({title, caption, alt, draw, table, legend, controls}) {
  const canvas = element("div", {class: "chart"});
  let width = 0;
  let step = -1;
  function redraw() {
    hideTip();
    step = -1;
    canvas.replaceChildren(...[draw(width)].flat());
    for (const node of canvas.querySelectorAll("svg")) {
      node.setAttribute("role", "img");
      node.setAttribute("aria-label", alt);
    }
  }
  function fit() {
    const now = canvas.clientWidth;
    if (now > 0 && now !== width) {
      width = now;
      redraw();
    }
  }
  // Drawing changes heights, which the observer must not see in the same turn.
  new ResizeObserver(() => requestAnimationFrame(fit)).observe(canvas);
  canvas.fit = fit;
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "group");
  canvas.setAttribute("aria-label", title + ". Arrow keys go from mark to mark; the data is in the table below.");
  canvas.addEventListener("keydown", (event) => {
    const by = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key];
    const marks = [...canvas.querySelectorAll("*")].filter((node) => node.hint);
    marks.forEach((mark) => mark.classList.remove("at"));
    if (event.key === "Escape" || !by || marks.length === 0) {
      hideTip();
      return;
    }
    event.preventDefault();
    step = step < 0 && by < 0 ? marks.length - 1 : (step + by + marks.length) % marks.length;
    marks[step].classList.add("at");
    const box = marks[step].getBoundingClientRect();
    showTip(marks[step].hint, box.right, box.top);
  });
  canvas.addEventListener("blur", () => {
    hideTip();
    canvas.querySelectorAll(".at").forEach((mark) => mark.classList.remove("at"));
  });
  const figure = element("figure", {}, element("h3", {}, title), caption ? element("p", {class: "caption"}, caption) : null);
  if (controls) figure.append(controls(() => { if (width > 0) redraw(); }));
  if (legend) figure.append(legendOf(legend));
  figure.append(canvas);
  if (table) figure.append(folded("Data", () => sortable(title, table.columns, table.rows)));
  return figure;
}

/** Of names in their order, or {name, draw(svg)}. */
function legendOf(items) {
  return element("ul", {class: "legend"}, items.map((item, i) => {
    const sample = d3.create("svg").attr("width", 22).attr("height", 14).attr("aria-hidden", "true");
    if (item.draw) {
      item.draw(sample);
    } else {
      sample.append("path").attr("d", symbol(i)).attr("transform", "translate(11,7)").attr("class", "fill s" + i % 8);
    }
    return element("li", {}, sample.node(), item.name ?? item);
  }));
}

function symbol(i, size = 56) {
  // Of more than eight each has another shape with its colour.
  return d3.symbol(shapes[(i + Math.floor(i / shapes.length)) % shapes.length], size)();
}

/** An SVG with room for its axes. */
function frame(width, height, margin) {
  const svg = d3.create("svg").attr("width", width).attr("height", height).attr("viewBox", `0 0 ${width} ${height}`);
  return {
    svg, width, height, margin,
    x: [margin.left, width - margin.right],
    y: [height - margin.bottom, margin.top],
  };
}

/** How many ticks an axis along the bottom has room for. */
function ticksIn(width) {
  return Math.max(2, Math.min(8, width / 90));
}

/** ticks: about how many; or an array of where they are. */
function bottomAxis({svg, width, height, margin}, scale, label, format, ticks = ticksIn(width)) {
  const axis = d3.axisBottom(scale).tickSizeOuter(0);
  if (Array.isArray(ticks)) axis.tickValues(ticks);
  else axis.ticks(ticks);
  if (format) axis.tickFormat(format);
  svg.append("g").attr("transform", `translate(0,${height - margin.bottom})`).call(axis);
  if (label) {
    svg.append("text").attr("class", "soft").attr("text-anchor", "end").attr("x", width - margin.right).attr("y", height - 4).text(label);
  }
}

function leftAxis({svg, margin, x}, scale, label, format, ticks = 5) {
  const axis = d3.axisLeft(scale).ticks(ticks).tickSizeOuter(0);
  if (format) axis.tickFormat(format);
  svg.append("g").attr("transform", `translate(${margin.left},0)`).call(axis)
    .call((g) => g.select(".domain").remove())
    .call((g) => g.selectAll(".tick line").clone().attr("x2", x[1] - x[0]).attr("class", "grid"));
  if (label) svg.append("text").attr("class", "soft").attr("x", 0).attr("y", 12).text(label);
}

/** Bounds of values with some air; never empty. */
function roomy(values, air = 0.08) {
  const [low, high] = d3.extent(values.filter(known));
  if (low === undefined) return [0, 1];
  const room = (high - low || Math.abs(high) || 1) * air;
  return [low - room, high + room];
}

/** A row for each item: a dot at its value, a line over its interval. */
function intervals({items, label, value, low, high, hint, filled, group, axis, format, zero = true}) {
  return (width) => {
    const row = 22;
    const left = Math.min(190, width * 0.42, Math.max(...items.map((item) => label(item).length)) * 7 + 14);
    const f = frame(width, items.length * row + 52, {top: 4, right: 16, bottom: 40, left});
    const scale = d3.scaleLinear(roomy([...items.flatMap((item) => [low(item), high(item), value(item)]), ...(zero ? [0] : [])]), f.x);
    bottomAxis(f, scale, axis, format);
    if (zero) f.svg.append("line").attr("class", "rule").attr("x1", scale(0)).attr("x2", scale(0)).attr("y1", f.y[1]).attr("y2", f.y[0]);
    const names = briefly(items.map(label), Math.floor((left - 8) / 6.6));
    const rows = f.svg.append("g").selectAll("g").data(items).join("g")
      .attr("class", (item) => "s" + (group ? group(item) : 0) % 8)
      .attr("transform", (item, i) => `translate(0,${f.y[1] + (i + 0.5) * row})`);
    rows.append("text").attr("x", left - 8).attr("dy", "0.32em").attr("text-anchor", "end").text((item, i) => names[i]);
    rows.append("line").attr("class", "stroke").attr("x1", (item) => scale(low(item))).attr("x2", (item) => scale(high(item)));
    hints(rows.append("path").attr("transform", (item) => `translate(${scale(value(item))},0)`)
      .attr("d", (item) => symbol(group ? group(item) : 0))
      .attr("class", (item) => !filled || filled(item) ? "fill" : "hollow"), hint);
    return f.svg.node();
  };
}
