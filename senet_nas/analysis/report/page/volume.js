// Hypervolume of the front as the search went on.
const PACES = { evaluations: "evaluations", device_seconds: "device-seconds", seconds: "seconds of the run" };

function volumeContent() {
  const over = at("volume-x").value;
  const name = onlyText(Object.keys(data.objectives).map((goal) => goal).join(" × "));
  return {
    traces: [{
      type: "scatter", mode: "lines+markers", name: "this run", x: data.volume[over], y: data.volume.volume,
      line: { shape: "hv", color: colour("accent"), width: 2 }, marker: { size: 5 },
    }],
    view: { xaxis: { title: { text: PACES[over] } }, yaxis: { title: { text: "hypervolume (" + name + ")" } }, showlegend: false },
  };
}

function startVolume() {
  at("volume-x").append(...Object.entries(PACES).map(([value, text]) => make("option", { value }, text)));
  at("volume-x").addEventListener("change", () => plot("volume-plot", volumeContent));
  const reference = Object.entries(data.reference).map(([name, value]) => `${name} ${number(value, 6)}`).join(", ");
  at("volume-note").textContent = reference
    ? `In the end ${number(data.hypervolume, 6)}, to the reference point ${reference}: the worst of each objective among this run's ` +
      "finished trials, so numbers of other runs can't be held against it; `senet-nas front A B` gives both to one point. " +
      "Device-seconds are those of training and scoring, of all workers together."
    : "No trial has finished yet.";
  plot("volume-plot", volumeContent);
}
