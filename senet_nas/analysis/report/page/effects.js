// Marginal effects of choices with their intervals.
function startEffects() {
  const body = at("effects-body");
  if (!data.effects || !data.effects.length) {
    body.append(make("p", { class: "note" }, data.effects ? "Too few trials have finished, or they all chose the same." : "Not shown: " + data.fault));
    return;
  }
  for (const model of data.effects) body.append(...effectsOf(model));
}

function effectsOf(model) {
  const axis = axisOf(model.score) || { label: model.score };
  const known = model.rows.filter((row) => row.effect !== null);
  const said = (row) => {
    if (row.effect === null) return "too few trials";
    if (row.trials < model.few) return `too few: ${row.trials} with it`;
    return Math.abs(row.effect) <= row.half_width ? "open" : row.effect > 0 ? "raises" : "lowers";
  };
  const rows = [...model.rows].sort((a, b) => Math.abs(b.effect || 0) - Math.abs(a.effect || 0)).map((row) => [
    row.decision, row.choice, row.against, String(row.trials),
    row.effect === null ? "–" : (row.effect > 0 ? "+" : "") + row.effect.toFixed(2),
    row.half_width === null ? "–" : "± " + row.half_width.toFixed(2), said(row)]);
  const note = model.joint
    ? `One linear model of all ${model.rows.length} choices at once, fitted to ${model.trials} trials by least squares; 95% intervals. `
    : `Too few trials (${model.trials}) for one model of ${model.rows.length} choices: each decision is fitted alone, so that what was chosen elsewhere shows in it, too. `;
  return [
    make("h3", {}, axis.label),
    make("p", { class: "note" }, note +
      "It leaves out how choices act together, and one interval in twenty misses by chance. " +
      "Trials were chosen by the search, not at random. Open: the interval spans zero." +
      (known.length < model.rows.length ? " Where a dash stands, the trials are too few to tell." : "")),
    scrolled("Effects on " + axis.label, make("table", {},
      ...table(["decision", "choice", "against", "trials", "effect", "95%", ""], rows, ["text", "text", "text"]))),
  ];
}
