// What SE does in trained networks: gates by channel and class, as in the SE paper's figures 6 and 7.
const GATE_KINDS = {
  class_mean: ["mean gate by class", "Lines are classes, the strong one is the mean over all images (the paper's figure 6)."],
  class_deviation: ["deviation within a class", "Standard deviation of a gate over the images of one class (the paper's figure 7)."],
};
const PANEL_WIDTH = 300, PANEL_HEIGHT = 145, HEAD_HEIGHT = 90; // pixels

let gatesShown = 0, gateKind = "class_mean";

function startGates() {
  const body = at("gates-body");
  const known = data.gates.filter((network) => !network.fault);
  for (const network of data.gates) {
    if (network.fault) body.append(make("p", { class: "note" }, "Gates can't be shown: " + network.fault));
  }
  if (!known.length) {
    if (!data.gates.length) {
      body.append(make("p", { class: "note" }, "No gates were given. For a trained network with SE:"),
        make("pre", {}, `senet-nas gates CHECKPOINT --out FOLDER\nsenet-nas report ${quoted(data.name)} --gates FOLDER`));
    }
    return;
  }
  const choice = (label, options, tell) => make("label", {}, label + " ",
    make("select", { onchange: (event) => tell(event.target.value) }, options.map(([value, text]) => make("option", { value }, text))));
  const draw = () => drawGates(known[gatesShown]);
  body.append(make("div", { class: "controls" },
    known.length > 1 ? choice("Network", known.map((network, n) => [n, network.name]), (value) => { gatesShown = Number(value); draw(); }) : null,
    choice("Show", Object.entries(GATE_KINDS).map(([value, [text]]) => [value, text]), (value) => { gateKind = value; draw(); })),
  make("p", { class: "note", id: "gates-note" }),
  make("div", { class: "plot", id: "gates-channels", role: "img", "aria-label": "Gates of each SE block by channel" }),
  make("div", { class: "panels" }, [["shares", "What the gates' variance is between"], ["ends", "Gates near the ends of their range"], ["lost", "Top-1 lost without the block"]].map(([kind, text]) =>
    make("div", {}, make("h3", {}, text), make("div", { class: "plot", id: "gates-" + kind, role: "img", "aria-label": text + "; the table below says the same" })))),
  make("details", {}, make("summary", {}, "The same as a table"), make("div", { id: "gates-table" })));
  draw();
  let columns = gateColumns();
  addEventListener("resize", () => {
    if (columns !== gateColumns()) draw();
    columns = gateColumns();
  });
}

function drawGates(network) {
  at("gates-note").textContent = `${network.name}: ${network.images} ${network.split} images, top-1 ${number(network.top1)}%. ` + GATE_KINDS[gateKind][1];
  gateRows(network); // before it is drawn, so that nothing moves then
  plot("gates-channels", () => channelsContent(network));
  for (const [kind, content] of [["shares", sharesContent], ["ends", endsContent], ["lost", lostContent]]) {
    at("gates-" + kind).style.height = 90 + 22 * network.blocks.length + "px";
    plot("gates-" + kind, () => content(network));
  }
  const share = (value) => Math.round(100 * value) + "%";
  const lost = (value) => (value === null ? "–" : value.toFixed(2));
  at("gates-table").replaceChildren(scrolled("Gates by block", make("table", {}, ...table(
    ["block", "SE", "parameters", "mean", "channel", "class", "image", "low", "high", "removed", "frozen"],
    network.blocks.map((block) => [block.path, block.se, amount(block.params),
      number(block.mean.reduce((sum, gate) => sum + gate, 0) / block.mean.length, 3), ...block.shares.map(share),
      ...block.ends.map(share), ...block.lost.map(lost)]), ["text", "text"]))));
}

const gateColumns = () => Math.min(4, Math.max(1, Math.floor((isPrinted ? PRINTED_WIDTH : at("gates-body").clientWidth) / PANEL_WIDTH)));

// How many rows of panels there are, for which room is made.
function gateRows(network) {
  const rows = Math.ceil(network.blocks.length / gateColumns());
  at("gates-channels").style.height = rows * PANEL_HEIGHT + HEAD_HEIGHT + "px";
  return rows;
}

function channelsContent(network) {
  const columns = gateColumns(), rows = gateRows(network);
  const view = {
    grid: { rows, columns, pattern: "independent", xgap: 0.12, ygap: 0.38 }, annotations: [], hovermode: "x",
    legend: { orientation: "h", x: 0, y: 1, yref: "container", yanchor: "top" }, margin: { l: 40, r: 8, t: 60, b: 30 },
  };
  const traces = [];
  network.blocks.forEach((block, n) => {
    const suffix = n ? String(n + 1) : "";
    const line = (name, y, ink, width) => traces.push({
      type: "scatter", mode: "lines", name, y, legendgroup: name, showlegend: n === 0, xaxis: "x" + suffix, yaxis: "y" + suffix,
      line: { color: colour(ink), width }, hovertemplate: "%{y:.3f}",
    });
    block[gateKind].forEach((row, each) => line(network.classes[each], row, "class-" + (each + 1), 1));
    if (gateKind === "class_mean") line("all images", block.mean, "ink", 1.6);
    view["xaxis" + suffix] = { showgrid: false, nticks: 5 };
    view["yaxis" + suffix] = { nticks: 4, ...(n ? { matches: "y" } : {}) };
    view.annotations.push({
      text: onlyText(`${block.path} (${block.se})`), xref: `x${suffix} domain`, yref: `y${suffix} domain`, x: 0, y: 1,
      xanchor: "left", yanchor: "bottom", showarrow: false, font: { size: 11, color: colour("soft") },
    });
  });
  return { traces, view };
}

function bars(network, named, { stacked, title, most }) {
  const blocks = network.blocks.map((block) => onlyText(block.path));
  return {
    traces: named.map(([name, ink, x]) => ({
      type: "bar", orientation: "h", name, y: blocks, x, marker: { color: colour(ink) }, hovertemplate: "%{y}: %{x:.3~g}",
    })),
    view: {
      barmode: stacked ? "stack" : "group", bargap: 0.3, xaxis: { title: { text: title }, rangemode: "tozero", ...(most ? { range: [0, most] } : {}) },
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", traceorder: "normal" },
      yaxis: { autorange: "reversed", tickfont: { size: 11 }, dtick: 1 },
    },
  };
}

const inPercent = (network, field, place) => network.blocks.map((block) => 100 * block[field][place]);

const sharesContent = (network) => bars(network, [["channel", "cloud", inPercent(network, "shares", 0)],
  ["class", "warm", inPercent(network, "shares", 1)], ["image", "accent", inPercent(network, "shares", 2)]], { stacked: true, title: "% of the variance", most: 100 });

function endsContent(network) {
  const [low, high] = [inPercent(network, "ends", 0), inPercent(network, "ends", 1)];
  const most = Math.max(5, ...low.map((share, n) => share + high[n])); // none at all is no scale
  return bars(network, [["low end", "accent", low], ["high end", "warm", high]], { stacked: true, title: "% of the gates", most });
}

function lostContent(network) {
  const lost = (place) => network.blocks.map((block) => block.lost[place]);
  if (network.blocks.every((block) => block.lost[0] === null && block.lost[1] === null)) {
    return { traces: [], view: { annotations: [{ text: "not measured (--no-losses)", showarrow: false, x: 0.5, y: 0.5, xref: "paper", yref: "paper" }] } };
  }
  return bars(network, [["removed", "warm", lost(0)], ["frozen at its mean", "accent", lost(1)]], { stacked: false, title: "points of top-1" });
}
