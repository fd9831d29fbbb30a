// The scatter of trials, the front over the axes that were chosen, and its table.
const chosenAxes = { x: null, y: null };

function frontOver(x, y) {
  const better = (axis, a, b) => (axis.way === "max" ? a - b : b - a);
  const rows = trials.number.map((_, row) => row)
    .filter((row) => scoreOf(row, x) !== null && scoreOf(row, y) !== null)
    .sort((a, b) => better(x, scoreOf(b, x), scoreOf(a, x)) || better(y, scoreOf(b, y), scoreOf(a, y)) || a - b);
  const found = [];
  let best = null;
  for (const row of rows) {
    const value = scoreOf(row, y);
    if (best === null || better(y, value, best) > 0) {
      found.push(row);
      best = value;
    }
  }
  return found;
}

function currentFront() {
  const names = [chosenAxes.x.name, chosenAxes.y.name].sort().join();
  const isOwn = names === Object.keys(data.objectives).sort().join();
  return isOwn ? data.front : frontOver(chosenAxes.x, chosenAxes.y);
}

const hover = (row) =>
  `trial ${trials.number[row]}<br>` +
  data.axes.map((axis) => `${onlyText(axis.label)}: ${number(scoreOf(row, axis))}`).join("<br>");

// Of points that lie on each other one is drawn, so that thousands take no longer than it takes to see
// them; zoomed in, others are. Opacity says how many.
const MOST_DRAWN = 1200, CELL = 3; // points; pixels
const axesChosen = () => [chosenAxes.x.name, chosenAxes.y.name, at("log-x").checked].join();
const isThinned = () => trials.number.length > MOST_DRAWN;

function thinned(x, y) {
  const plane = at("front-plot");
  const placed = (axis, name, pixels) => {
    const isLog = name === "xaxis" && at("log-x").checked;
    const places = Float64Array.from(trials.scores[axis.name], (value) =>
      value === null ? NaN : isLog ? Math.log10(value / axis.unit) : value / axis.unit);
    const isSame = plane.layout && plane.layout.uirevision === axesChosen();
    const isZoomed = isSame && plane.layout[name].autorange !== true && plane.layout[name].range;
    const known = places.filter((place) => !Number.isNaN(place));
    const [low, high] = isZoomed || [known.reduce((a, b) => Math.min(a, b), Infinity), known.reduce((a, b) => Math.max(a, b), -Infinity)];
    return places.map((place) => ((place - low) / (high - low || 1)) * pixels);
  };
  const [across, up] = [placed(x, "xaxis", plane.clientWidth), placed(y, "yaxis", plane.clientHeight)];
  // Rows in the range that is shown.
  const inside = [...across.keys()].filter((row) => across[row] >= 0 && across[row] <= plane.clientWidth && up[row] >= 0 && up[row] <= plane.clientHeight);
  const fewest = Math.sqrt((plane.clientWidth * plane.clientHeight) / MOST_DRAWN / 8); // most of the plane is empty
  for (let cell = Math.max(CELL, fewest); ; cell *= 1.4) {
    const first = new Map(), counts = new Map();
    for (const row of inside) {
      const key = Math.floor(across[row] / cell) * 10000 + Math.floor(up[row] / cell);
      if (!first.has(key)) first.set(key, row);
      counts.set(key, (counts.get(key) || 0) + 1);
    }
    if (first.size <= MOST_DRAWN) return [...first].map(([key, row]) => [row, counts.get(key)]);
  }
}

function cloud(x, y) {
  const marker = { color: colour("cloud"), size: 7, opacity: 0.65 };
  if (!isThinned()) return { rows: trials.number.map((_, row) => row), marker };
  const kept = thinned(x, y);
  const opacity = kept.map(([, count]) => Math.min(0.9, 0.35 + 0.15 * Math.log2(count)));
  return { rows: kept.map(([row]) => row), marker: { ...marker, size: 5, opacity } };
}

function peerTraces(x, y) {
  return data.peers.filter((peer) => peer.front.length && x.name in peer.front[0] && y.name in peer.front[0]).map((peer, n) => ({
    type: "scatter", mode: "lines+markers", name: onlyText(peerName(peer)), hoverinfo: "x+y+name",
    x: peer.front.map((scores) => scores[x.name] / x.unit), y: peer.front.map((scores) => scores[y.name] / y.unit),
    line: { color: colour(peerInk(peer, n)), width: 1.2, dash: "dot" }, marker: { color: colour(peerInk(peer, n)), size: 6, symbol: "square" },
  }));
}

// Null models that are trained: the front's networks with SE nowhere, everywhere, late only.
function nullTraces(x, y) {
  const symbols = ["triangle-down-open", "triangle-up-open", "triangle-right-open"];
  return nullKinds.map((kind, n) => {
    const points = kind.points.filter((scores) => x.name in scores && y.name in scores);
    return {
      type: "scatter", mode: "markers", name: kind.label, x: points.map((scores) => scores[x.name] / x.unit), y: points.map((scores) => scores[y.name] / y.unit),
      text: points.map((scores) => `${kind.label}, of trial ${scores.of}`), hovertemplate: "%{text}<br>%{x:.5~g}, %{y:.5~g}<extra></extra>",
      marker: { color: colour("class-" + (n + 2)), size: 9, symbol: symbols[n] },
    };
  }).filter((trace) => trace.x.length);
}

function frontContent() {
  const { x, y } = chosenAxes;
  const trace = (name, which, extra) => ({
    type: "scatter", name, mode: "markers", customdata: which, hoverinfo: "text",
    x: which.map((row) => scoreOf(row, x)), y: which.map((row) => scoreOf(row, y)), text: which.map(hover), ...extra,
  });
  const all = cloud(x, y);
  const own = currentFront();
  const traces = [
    trace("all trials", all.rows, { marker: all.marker }),
    ...peerTraces(x, y),
    ...nullTraces(x, y),
    trace("front", own, {
      mode: "lines+markers",
      line: { color: colour("accent"), width: 1.5 }, marker: { color: colour("accent"), size: 10 },
    }),
  ];
  if (data.knee !== null && own.includes(data.knee)) {
    traces.push(trace("knee", [data.knee], {
      marker: { color: colour("accent"), size: 15, symbol: "diamond" },
    }));
  }
  if (selected !== null) {
    traces.push(trace("selected", [selected], {
      marker: { color: "rgba(0,0,0,0)", size: 19, line: { color: colour("warm"), width: 3 } },
    }));
  }
  const title = (axis) => ({ title: { text: onlyText(axis.label) } });
  return {
    traces,
    view: {
      uirevision: axesChosen(),
      xaxis: { ...title(x), type: at("log-x").checked ? "log" : "linear" },
      yaxis: title(y),
    },
  };
}

function frontTable() {
  const own = currentFront();
  const rows = own.map((row) => [
    make("button", { type: "button", "data-row": row, onclick: () => showNetwork(row) }, String(trials.number[row])),
    ...data.axes.map((axis) => number(scoreOf(row, axis))),
    row === data.knee ? "knee" : "",
  ]);
  at("front-table").replaceChildren(
    make("caption", { class: "note" }, "Networks on the front; the button shows one."),
    ...table(["trial", ...data.axes.map((axis) => axis.label), ""], rows),
  );
  markSelected();
}

function markSelected() {
  for (const button of at("front-table").querySelectorAll("button")) {
    const isIt = Number(button.dataset.row) === selected;
    button.closest("tr").classList.toggle("selected", isIt);
    button.setAttribute("aria-pressed", String(isIt));
  }
}

function showNetwork(row) {
  select(row);
  at("network").scrollIntoView({ block: "start" });
}

function drawFront() {
  plot("front-plot", frontContent);
  frontTable();
}

function startFront() {
  if (data.axes.length === 0) {
    at("front-note").textContent = "No trial has finished yet.";
    at("front-plot").remove();
    return;
  }
  const goals = Object.keys(data.objectives);
  chosenAxes.y = axisOf(goals[0]) || data.axes[0];
  chosenAxes.x = axisOf(goals[1]) || data.axes.find((axis) => axis !== chosenAxes.y) || chosenAxes.y;
  for (const way of ["x", "y"]) {
    const list = at("axis-" + way);
    list.append(...data.axes.map((axis) =>
      make("option", { value: axis.name, selected: axis === chosenAxes[way] ? "" : null }, axis.label)));
    list.addEventListener("change", () => {
      chosenAxes[way] = axisOf(list.value);
      drawFront();
    });
  }
  at("log-x").addEventListener("change", drawFront);
  at("trial").addEventListener("change", () => {
    const row = rowOfTrial.get(Number(at("trial").value));
    at("trial").setCustomValidity(row === undefined ? "No finished trial has this number." : "");
    at("trial").reportValidity();
    select(row);
  });
  if (selected !== null) at("trial").value = trials.number[selected];
  frontTable();
  const ways = Object.entries(data.objectives).map(([name, way]) => `${(axisOf(name) || { label: name }).label} ${way}`);
  at("front-note").textContent =
    `Non-dominated over the two axes chosen; the run's own objectives: ${ways.join(", ")}. ` +
    "Accuracy is of the validation split after the short training that compares candidates: it ranks, it doesn't report. " +
    (data.counts.rung ? `Shown are trials that reached rung ${data.counts.rung}; ${data.counts.below} stopped below it. ` : "") +
    (isThinned() ? "Of trials that lie on each other one is drawn, the darker the more they are; zoom in for the others. " : "") +
    "Drag to zoom, double-click for all, click a point for its network.";
}

// What needs plotly, which the browser reads last.
function startFrontPlot() {
  if (data.axes.length === 0) return;
  clicked("front-plot");
  plot("front-plot", frontContent);
  at("front-plot").on("plotly_relayout", () => isThinned() && plot("front-plot", frontContent));
  onSelection.push((row) => {
    at("trial").value = trials.number[row];
    plot("front-plot", frontContent);
    markSelected();
  });
}
