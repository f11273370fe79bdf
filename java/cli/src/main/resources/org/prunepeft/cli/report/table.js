/** An element with attributes and children; a text is set as text, never as markup. */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (known(value) && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  for (const child of children.flat()) {
    if (known(child)) made.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return made;
}

/**
 * A table that is sorted by its heads.
 * columns: {name, value(row), text(row), kind: "number" or "text"}, the last two where the value is not shown as it is.
 */
function sortable(caption, columns, rows) {
  const body = element("tbody");
  const heads = columns.map((column, i) => {
    const button = element("button", {type: "button"}, column.name);
    const head = element("th", {scope: "col", class: column.kind === "number" ? "number" : null}, button);
    button.addEventListener("click", () => {
      const falling = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const sorted = [...body.rows].sort((a, b) => compare(a.values[i], b.values[i]) * (falling ? -1 : 1));
      body.append(...sorted);
    });
    return head;
  });
  for (const row of rows) {
    const line = element("tr", {}, columns.map((column) => {
      const value = column.value(row);
      const text = column.text ? column.text(row) : known(value) ? value : dash;
      return element("td", {class: column.kind}, text);
    }));
    line.values = columns.map((column) => column.value(row));
    body.append(line);
  }
  return element("div", {class: "scroll", tabindex: "0", role: "group", "aria-label": caption},
    element("table", {}, element("caption", {class: "hidden"}, caption), element("thead", {}, element("tr", {}, heads)), body));
}

/** What is made when it is opened first: large tables take their time. */
function folded(summary, make) {
  const fold = element("details", {}, element("summary", {}, summary));
  fold.fill = () => { if (fold.open && fold.children.length === 1) fold.append(make()); };
  fold.addEventListener("toggle", fold.fill);
  return fold;
}

/** What is not known comes last when values rise. */
function compare(a, b) {
  if (!known(a) || !known(b)) return known(a) ? -1 : known(b) ? 1 : 0;
  return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", {numeric: true});
}

/** Columns of plain rows, which are arrays. */
function columns(...names) {
  return names.map((name, i) => {
    const number = name.endsWith("#");
    return {
      name: number ? name.slice(0, -1) : name,
      kind: number ? "number" : null,
      value: (row) => row[i],
      text: (row) => typeof row[i] === "number" ? Number.isInteger(row[i]) ? whole(row[i]) : digits(row[i]) : known(row[i]) ? row[i] : dash,
    };
  });
}
