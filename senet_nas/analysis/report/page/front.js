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

function frontContent() {
  const { x, y } = chosenAxes;
  const rows = trials.number.map((_, row) => row);
  const type = rows.length > MANY ? "scattergl" : "scatter";
  const trace = (name, which, extra) => ({
    type, name, mode: "markers", customdata: which, hoverinfo: "text",
    x: which.map((row) => scoreOf(row, x)), y: which.map((row) => scoreOf(row, y)), ...extra,
  });
  const own = currentFront();
  const traces = [
    trace("all trials", rows, {
      marker: { color: colour("cloud"), size: rows.length > MANY ? 4 : 7, opacity: rows.length > MANY ? 0.5 : 0.65 },
      text: rows.length > MANY ? undefined : rows.map(hover),
      hoverinfo: rows.length > MANY ? "x+y" : "text",
    }),
    trace("front", own, {
      mode: "lines+markers", text: own.map(hover),
      line: { color: colour("accent"), width: 1.5 }, marker: { color: colour("accent"), size: 10 },
    }),
  ];
  if (data.knee !== null && own.includes(data.knee)) {
    traces.push(trace("knee", [data.knee], {
      text: [hover(data.knee)], marker: { color: colour("accent"), size: 15, symbol: "diamond" },
    }));
  }
  if (selected !== null) {
    traces.push(trace("selected", [selected], {
      text: [hover(selected)],
      marker: { color: "rgba(0,0,0,0)", size: 19, line: { color: colour("warm"), width: 3 } },
    }));
  }
  const title = (axis) => ({ title: { text: onlyText(axis.label) } });
  return {
    traces,
    view: {
      uirevision: x.name + "," + y.name + "," + at("log-x").checked,
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
  drawFront();
  at("front-plot").on("plotly_click", (event) => select(event.points[0].customdata));
  onSelection.push((row) => {
    at("trial").value = trials.number[row];
    plot("front-plot", frontContent);
    markSelected();
  });
  const ways = Object.entries(data.objectives).map(([name, way]) => `${(axisOf(name) || { label: name }).label} ${way}`);
  at("front-note").textContent =
    `Non-dominated over the two axes chosen; the run's own objectives: ${ways.join(", ")}. ` +
    "Accuracy is of the validation split after the short training that compares candidates: it ranks, it doesn't report. " +
    (data.counts.rung ? `Shown are trials that reached rung ${data.counts.rung}; ${data.counts.below} stopped below it. ` : "") +
    "Drag to zoom, double-click for all, click a point for its network.";
}
