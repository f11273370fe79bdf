/** Numbers as text. What is not known is a dash. */
const dash = "–";

function known(value) {
  return value !== null && value !== undefined;
}

function whole(value) {
  return known(value) ? value.toLocaleString("en-US") : dash;
}

/** Four digits that count. */
function digits(value) {
  if (!known(value)) return dash;
  const size = Math.abs(value);
  return size !== 0 && (size < 0.001 || size >= 1e6) ? value.toExponential(2) : String(Number(value.toPrecision(4)));
}

function fixed(value, places) {
  return known(value) ? value.toFixed(places) : dash;
}

function signed(text, value) {
  return known(value) && value > 0 ? "+" + text : text;
}

/** A metric: a share in percent, a correlation as it is. */
function metricText(value, percent) {
  if (!known(value)) return dash;
  return percent ? (100 * value).toFixed(2) + " %" : value.toFixed(4);
}

/** A difference of two values of a metric: of shares in points, which are hundredths. */
function differenceText(value, percent) {
  return !known(value) ? dash : percent ? (100 * value).toFixed(2) + " points" : value.toFixed(4);
}

/** The ends of an interval of a metric. */
function rangeText([low, high], percent) {
  return known(low) && known(high) ? percent ? `[${(100 * low).toFixed(2)}, ${(100 * high).toFixed(2)}]` : `[${low.toFixed(4)}, ${high.toFixed(4)}]` : "";
}

function seconds(value) {
  if (!known(value)) return dash;
  if (value < 90) return value.toFixed(1) + " s";
  if (value < 5400) return (value / 60).toFixed(1) + " min";
  return (value / 3600).toFixed(1) + " h";
}

/** Of memory: 1.25 GB. */
function bytes(value) {
  if (!known(value)) return dash;
  return value < 1e9 ? (value / 1e6).toFixed(0) + " MB" : (value / 1e9).toFixed(2) + " GB";
}

/** A module without what all names have: encoder.layer.3.lora is 3.lora. */
function brief(module) {
  return module.replace(/^.*layers?\.(?=\d)/, "");
}

/** Least and most that a metric can be; null where there is no bound. By its key, or the words that it has in text. */
function boundsOf(metric) {
  return /log.likelihood|perplexity/.test(metric) ? null : /correlation|pearson|spearman/i.test(metric) ? [-1, 1] : [0, 1];
}

/** Whether a metric is a share, which is shown in percent; by its key. */
function isShare(metric) {
  return !/log.likelihood|perplexity|correlation|pearson|spearman|roc_auc/i.test(metric);
}

/** Names shortened to a length: first what all begin and end with goes, up to a separator. cut(text, most) shortens. */
function briefly(names, most, cut = short) {
  if (names.length < 2 || names.every((name) => name.length <= most)) return names.map((name) => cut(name, most));
  const same = (parts) => {
    let i = 0;
    while (parts.every((own) => i < own.length - 1 && own[i] === parts[0][i])) i++;
    return i;
  };
  const parts = names.map((name) => name.match(/(?:\d\.(?=\d)|[^-_./ ])+[-_./ ]*|[-_./ ]+/g) ?? [name]);
  const begin = same(parts);
  const rest = parts.map((own) => own.slice(begin));
  const end = same(rest.map((own) => [...own].reverse().map((part) => part.replace(/[-_./ ]+$/, ""))));
  return rest.map((own) => cut(own.slice(0, own.length - end).join("").replace(/[-_./ ]+$/, ""), most));
}

function short(text, most) {
  return text.length > most ? text.slice(0, most - 1) + "…" : text;
}
