// The front at once, the rest when the browser has time.
const { trials: count, failed } = data.counts;
at("summary").textContent = `${count} trials, ${failed} failed, ${data.front.length} on the front` +
  (data.fault ? ". Its space has changed since, so its networks can't be drawn: " + data.fault : "");
const asked = /^#trial=(\d+)$/.exec(location.hash);
const first = asked ? rowOfTrial.get(Number(asked[1])) : data.knee;
if (first !== undefined) selected = first; // before the first drawing, so that there is one
startFront();
startNetwork();
const waiting = [startSeMap, startVolume, startEffects, startCurves, startRun];
function next() {
  const start = waiting.shift();
  if (start) {
    start();
    setTimeout(next);
  } else {
    document.documentElement.dataset.ready = "yes";
  }
}
setTimeout(next);
window.addEventListener("beforeprint", redrawAll);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);
matchMedia("print").addEventListener("change", redrawAll);
