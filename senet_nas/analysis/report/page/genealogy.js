// Whom a trial was made from, and what was made from it.
const MOST_KIN = 400; // trials in the picture, the nearest first

const madeFrom = (row) => [...new Set([...trials.parents[row], ...(trials.parent[row] === null ? [] : [trials.parent[row]])])];
const childrenOf = new Map();

// Rows by how many generations lie between: { row: generations }, in the order of nearness.
function kin(row, nextOf) {
  const found = new Map([[row, 0]]);
  for (const [each, distance] of found) {
    if (found.size >= MOST_KIN) break;
    for (const trial of nextOf(each)) {
      const next = rowOfTrial.get(trial);
      if (next !== undefined && !found.has(next)) found.set(next, distance + 1);
    }
  }
  found.delete(row);
  return found;
}

const ancestors = (row) => kin(row, madeFrom);
const children = (row) => childrenOf.get(trials.number[row]) || [];

function trialButton(trial) {
  const row = rowOfTrial.get(trial);
  if (row === undefined) return `trial ${trial} `;
  const score = data.axes[0];
  return [make("button", { type: "button", onclick: () => select(row) }, `trial ${trial} (${score.label} ${number(scoreOf(row, score))})`), " "];
}

function genealogyText(row) {
  const [parents, weights, above, made] = [trials.parents[row], trials.parent[row], ancestors(row), children(row)];
  const shown = made.slice(0, 12);
  const generations = Math.max(0, ...above.values());
  return [
    make("p", {}, make("b", {}, `Trial ${trials.number[row]}`), parents.length ? " was made from " : weights === null ? " was drawn anew." : " ",
      parents.flatMap(trialButton), weights === null ? null : ["began with the weights of ", trialButton(weights)].flat()),
    make("p", {}, above.size ? `Ancestors: ${above.size}${above.size >= MOST_KIN - 1 ? " or more" : ""}, generations back: ${generations}. ` : "",
      made.length ? [`Made from it: `, ...shown.flatMap(trialButton), made.length > shown.length ? `and ${made.length - shown.length} more.` : ""] : "Nothing was made from it."),
  ];
}

function genealogyContent() {
  const above = ancestors(selected);
  const below = children(selected).map((trial) => rowOfTrial.get(trial)).filter((row) => row !== undefined);
  const score = data.axes[0];
  const [x, y] = [(row) => trials.number[row], (row) => scoreOf(row, score)];
  const edges = { x: [], y: [] };
  for (const row of [selected, ...above.keys(), ...below]) {
    for (const trial of madeFrom(row)) {
      const parent = rowOfTrial.get(trial);
      if (parent === undefined || (parent !== selected && !above.has(parent))) continue;
      edges.x.push(x(parent), x(row), null);
      edges.y.push(y(parent), y(row), null);
    }
  }
  const nodes = (name, rows, ink, size, symbol) => ({
    type: "scatter", mode: "markers", name, customdata: rows, x: rows.map(x), y: rows.map(y), text: rows.map(hover), hoverinfo: "text",
    marker: { color: colour(ink), size, symbol },
  });
  return {
    traces: [
      { type: "scatter", mode: "lines", ...edges, line: { color: colour("cloud"), width: 1 }, opacity: 0.6, hoverinfo: "skip", showlegend: false },
      nodes("ancestors", [...above.keys()], "accent", 8, "circle"), nodes("children", below, "good", 8, "circle-open"),
      nodes(`trial ${trials.number[selected]}`, [selected], "warm", 13, "diamond")],
    view: { xaxis: { title: { text: "trial, in the order of proposal" } }, yaxis: { title: { text: onlyText(score.label) } } },
  };
}

function drawGenealogy() {
  if (selected === null) return;
  at("genealogy-text").replaceChildren(...genealogyText(selected));
  plot("genealogy-plot", genealogyContent);
}

function startGenealogy() {
  if (!trials.number.some((_, row) => madeFrom(row).length)) {
    at("genealogy-plot").remove();
    at("genealogy-text").append(make("p", { class: "note" }, trials.number.length
      ? "No parents were recorded: the run's strategy makes no candidate from others, or an older version of senet-nas ran it."
      : "No trial has finished yet."));
    return;
  }
  trials.number.forEach((trial, row) => {
    for (const parent of madeFrom(row)) childrenOf.set(parent, [...(childrenOf.get(parent) || []), trial]);
  });
  onSelection.push(drawGenealogy);
  drawGenealogy();
  clicked("genealogy-plot");
}
