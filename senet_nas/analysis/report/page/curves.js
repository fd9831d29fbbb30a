// Training loss by epoch: of the front, of some others, and of the trial that is selected.
const MOST_CURVES = 300;

function curvesContent() {
  const joined = (rows) => {
    const x = [], y = [];
    for (const row of rows) {
      trials.curve[row].forEach((loss, epoch) => { x.push(epoch + 1); y.push(loss); });
      x.push(null);
      y.push(null);
    }
    return { x, y };
  };
  const isLine = trials.curve.some((curve) => curve.length > 1);
  const isFront = new Set(data.front);
  const others = trials.number.map((_, row) => row).filter((row) => !isFront.has(row));
  const step = Math.max(1, Math.ceil(others.length / MOST_CURVES));
  const line = (name, rows, ink, width, opacity) => ({
    type: "scatter", mode: isLine ? "lines" : "markers", name, ...joined(rows), opacity, hoverinfo: "x+y+name",
    line: { color: colour(ink), width }, marker: { color: colour(ink), size: 2 + 3 * width },
  });
  const traces = [line("other trials", others.filter((_, n) => n % step === 0), "cloud", 1, 0.4),
    line("front", data.front, "accent", 1.5, 0.9)];
  if (selected !== null) traces.push(line(`trial ${trials.number[selected]}`, [selected], "warm", 3, 1));
  const epochs = Math.max(...trials.curve.slice(0, MOST_CURVES).map((curve) => curve.length));
  const ticks = epochs <= 12 ? { tick0: 1, dtick: 1 } : {}; // no half epochs
  return { traces, view: { xaxis: { title: { text: "epoch" }, ...ticks }, yaxis: { title: { text: "training loss" } } } };
}

function startCurves() {
  if (!trials.curve.some((curve) => curve.length)) {
    at("curves-plot").remove();
    at("curves-note").textContent = "No learning curves were recorded.";
    return;
  }
  const others = trials.number.length - data.front.length;
  at("curves-note").textContent = others > MOST_CURVES
    ? `One in ${Math.ceil(others / MOST_CURVES)} of the other trials is drawn.` : "";
  plot("curves-plot", curvesContent);
  onSelection.push(() => plot("curves-plot", curvesContent));
}
