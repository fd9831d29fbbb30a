// A supernet's scores against training alone.
function startTrust() {
  const trust = data.trust;
  if (!trust) {
    at("trust").remove();
    document.querySelector('nav a[href="#trust"]').remove();
    return;
  }
  const body = at("trust-body");
  if (trust.fault) {
    body.append(make("p", { class: "note" }, "trust.json " + trust.fault));
    return;
  }
  if (trust.data.verdict) body.append(make("p", {}, onlyFirstUpper(trust.data.verdict) + "."));
  const kinds = [["all", "networks over the range of MACs"], ["se", "networks that differ in SE alone"]];
  for (const [kind, text] of kinds) {
    if (trust.data[kind]) body.append(make("p", {}, `Kendall's tau, ${text}: ${tauText(trust.data[kind])}`));
  }
  if ((trust.data.random || []).length) {
    const volumes = trust.data.random.map((volume) => number(volume)).join(", ");
    body.append(make("p", { class: "note" }, `Hypervolume of the front's finalists, trained alone: ${number(trust.data.supernet)}; ` +
      `of random search at equal device-seconds (${trust.data.random_trials} trials): ${volumes}; to one reference point.`));
  }
  if (kinds.some(([kind]) => (trust.points[kind] || []).length)) {
    body.append(make("div", { class: "plot tall", id: "trust-plot", role: "img", "aria-label": "Scores in the supernet against scores of networks trained alone" }));
    plot("trust-plot", () => trustContent(trust, kinds));
  }
  body.append(make("details", {}, make("summary", {}, "trust.json"), make("pre", {}, JSON.stringify(trust.data, null, 1))));
}

const onlyFirstUpper = (text) => text.charAt(0).toUpperCase() + text.slice(1);

function tauText(tau) {
  if (tau.tau === null || tau.interval === null) return `not defined over ${tau.networks} networks.`;
  const besides = [["by MACs alone", tau.macs], ["given these Spearman's rho", tau.rho_given_macs], ["by the tuning alone", tau.untaught]]
    .map(([what, value]) => (typeof value === "number" ? `; ${what} ${value.toFixed(2)}` : "")).join("");
  return `${tau.tau.toFixed(2)} (95%: ${tau.interval.map((end) => end.toFixed(2)).join(" to ")}; ${tau.networks} networks${besides}).`;
}

function trustContent(trust, kinds) {
  const label = (axisOf(trust.measured) || { label: trust.measured }).label;
  const traces = kinds.filter(([kind]) => (trust.points[kind] || []).length).map(([kind, text]) => {
    const points = trust.points[kind];
    const isAll = kind === "all";
    return {
      type: "scatter", mode: "markers", name: text, x: points.map((point) => point[1]), y: points.map((point) => point[0]),
      text: points.map((point) => (point[2] ? `${amount(point[2])} MACs` : "")), hovertemplate: "alone %{x}<br>supernet %{y}<br>%{text}<extra></extra>",
      marker: { color: colour(isAll ? "accent" : "warm"), size: isAll ? 9 : 10, symbol: isAll ? "circle" : "diamond", opacity: 0.8 },
    };
  });
  return { traces, view: {
    xaxis: { title: { text: onlyText(label) + ", trained alone" } }, yaxis: { title: { text: onlyText(label) + ", in the supernet" } } } };
}
