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
