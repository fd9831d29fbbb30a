// What every section uses. Texts of the run only ever become text nodes.
const data = JSON.parse(document.getElementById("data").textContent);
const trials = data.trials;
const at = (id) => document.getElementById(id);

function make(tag, options = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(options)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(key, value);
  }
  for (const child of children.flat()) {
    if (child !== null && child !== undefined) node.append(child);
  }
  return node;
}

function table(head, rows, kinds = []) {
  const cell = (tag, value, column) =>
    make(tag, { class: kinds[column], scope: tag === "th" ? "col" : null }, value);
  return [
    make("thead", {}, make("tr", {}, head.map((value, column) => cell("th", value, column)))),
    make("tbody", {}, rows.map((row) => make("tr", {}, row.map((v, c) => cell("td", v, c))))),
  ];
}

const scrolled = (label, ...children) =>
  make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, ...children);

function number(value, digits = 4) {
  if (value === null || value === undefined) return "–";
  if (value !== 0 && (Math.abs(value) >= 1e6 || Math.abs(value) < 1e-3)) return value.toExponential(digits - 1);
  return String(Number(value.toPrecision(digits)));
}

function amount(value) {
  for (const [unit, letter] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (Math.abs(value) >= unit) return number(value / unit, 3) + " " + letter;
  }
  return String(value);
}

const percent = (part, whole) => (whole ? Math.round((100 * part) / whole) + "%" : "–");
const axisOf = (name) => data.axes.find((axis) => axis.name === name);
const scoreOf = (row, axis) => {
  const value = trials.scores[axis.name][row];
  return value === null ? null : value / axis.unit;
};
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
const onlyText = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
const quoted = (text) => (/^[\w./@%+=:,-]+$/.test(text) ? text : "'" + text.replace(/'/g, "'\\''") + "'");
const rowOfTrial = new Map(trials.number.map((trial, row) => [trial, row]));

function copyButton(label, text) {
  const button = make("button", { class: "copy", type: "button" }, label);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text());
    } catch {
      // A page opened as a file may not write to the clipboard: by selection it may.
      const area = make("textarea", {}, text());
      area.value = text();
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = label), 1500);
  });
  return button;
}

let selected = null;
const onSelection = [];
function select(row) {
  if (row === null || row === undefined || row === selected) return;
  selected = row;
  history.replaceState(null, "", "#trial=" + trials.number[row]);
  for (const tell of onSelection) tell(row);
}
