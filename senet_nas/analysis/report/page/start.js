// Texts at once, the front as soon as plotly is read, the rest when the browser has time.
const { trials: count, failed } = data.counts;
at("summary").textContent = `${count} trials, ${failed} failed, ${data.front.length} on the front` +
  (data.fault ? ". Its space has changed since, so its networks can't be drawn: " + data.fault : "");
function askedFor() {
  const asked = /^#trial=(\d+)$/.exec(location.hash);
  return asked ? rowOfTrial.get(Number(asked[1])) : undefined;
}
selected = askedFor() ?? data.knee; // before the first drawing, so that there is one
startFront();
startNetwork();
const waiting = [startGenealogy, startSeMap, startGates, startTrust, startVolume, startEffects, startCurves, startRun];
function next() {
  const start = waiting.shift();
  if (start) {
    start();
    later(next);
  } else {
    document.documentElement.dataset.ready = Math.round(performance.now()); // ms since it was asked for
    later(drawInTime);
  }
}
document.addEventListener("DOMContentLoaded", () => {
  startFrontPlot();
  document.documentElement.dataset.front = Math.round(performance.now());
  later(next);
});
window.addEventListener("hashchange", () => select(askedFor()));
window.addEventListener("beforeprint", () => redrawForPrint(true));
window.addEventListener("afterprint", () => redrawForPrint(false));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);
matchMedia("print").addEventListener("change", (event) => redrawForPrint(event.matches));
