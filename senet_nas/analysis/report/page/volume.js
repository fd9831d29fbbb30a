// Hypervolume of the front as the search went on, and of the runs that it is held against.
const PACES = { evaluations: "evaluations", device_seconds: "device-seconds", seconds: "seconds of the run" };
const nullKinds = data.nulls.kinds || [];
const peerInk = (peer, n) => (peer.kind === "random" ? "cloud" : "class-" + (2 + (n % 4)));
const peerName = (peer) => (peer.kind === "random" ? "random search: " : "") + peer.name;

function volumeContent() {
  const over = at("volume-x").value;
  const line = (name, volume, ink, dash) => ({
    type: "scatter", mode: "lines", name: onlyText(name), x: volume[over], y: volume.volume,
    line: { shape: "hv", color: colour(ink), width: 2, dash }, hovertemplate: "%{x}: %{y:.5~g}",
  });
  const traces = data.peers.map((peer, n) => line(peerName(peer), peer.volume, peerInk(peer, n), peer.kind === "random" ? "dash" : "solid"));
  traces.push(line(data.peers.length ? "this run" : data.name, data.volume, "accent", "solid"));
  const goals = onlyText(Object.keys(data.objectives).join(" × "));
  return { traces, view: {
    xaxis: { title: { text: PACES[over] }, rangemode: "tozero" }, yaxis: { title: { text: `hypervolume (${goals})` }, rangemode: "tozero" },
    showlegend: data.peers.length > 0, hovermode: "x" } };
}

function equalText(peer) {
  if (!peer.equal) return "–";
  const { unit, used, budget, is_short: isShort, hypervolume } = peer.equal;
  return `${number(hypervolume, 6)} for ${number(used)} ${unit}` + (isShort ? `, less than this run's ${number(budget)}` : "");
}

function startVolume() {
  at("volume-x").append(...Object.entries(PACES).map(([value, text]) => make("option", { value }, text)));
  at("volume-x").addEventListener("change", () => plot("volume-plot", volumeContent));
  const reference = Object.entries(data.reference).map(([name, value]) => `${name} ${number(value, 6)}`).join(", ");
  if (!reference) {
    at("volume-note").textContent = "No trial has finished yet.";
    return;
  }
  const among = data.peers.length ? "of all these runs together" : "of this run";
  at("volume-note").textContent = `To the reference point ${reference}: the worst of each objective among the finished trials ${among}, ` +
    "so that numbers from elsewhere can't be held against these. Device-seconds are those of training and scoring, of all workers together.";
  const rows = [[`${data.name} (this run)`, number(data.hypervolume, 6), "–", ""],
    ...data.peers.map((peer) => [peerName(peer), number(peer.hypervolume, 6), equalText(peer),
      peer.otherwise.length ? "can't be compared: " + peer.otherwise.join("; ") : ""]),
    ...nullKinds.map((kind) => ["its networks with " + kind.label, number(kind.hypervolume, 6), "–",
      `${kind.networks} networks that have scores; of ${kind.twins} derived from the front ${kind.trained} are trained`])];
  at("volume-note").after(scrolled("Hypervolumes", make("table", {},
    ...table(["", "hypervolume in the end", "at equal budget", ""], rows, ["text wrap", "", "", "text wrap"]))),
  make("p", { class: "note" }, data.nulls.fault ? `No null models: ${data.nulls.fault}. ` : "",
    data.nulls.untrained ? [`${data.nulls.untrained} null models are not trained: `, make("code", {}, data.nulls.command), ". "] : "",
    data.peers.length ? "" : ["Random search or other runs beside it: ", make("code", {}, "senet-nas report … --random DIR --beside DIR"), "."]));
  plot("volume-plot", volumeContent);
}
