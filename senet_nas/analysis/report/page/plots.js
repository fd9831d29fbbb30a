// Plots in the page's own colours, drawn again when these change.
const drawn = new Map();

const PRINTED_WIDTH = 640; // pixels: paper is narrower than most windows
let isPrinted = false;

function layout(extra, plane) {
  const axis = { gridcolor: colour("line"), linecolor: colour("line"), zeroline: false, automargin: true };
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: colour("ink"), family: "system-ui, sans-serif", size: 13 },
    margin: { l: 56, r: 12, t: 12, b: 48 },
    hovermode: "closest",
    modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("cloud"), activecolor: colour("accent") },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
    ...(isPrinted ? { width: PRINTED_WIDTH, height: plane.clientHeight, autosize: false } : { autosize: true }),
    ...extra,
    ...Object.fromEntries(axesOf(extra).map((name) => [name, { ...axis, ...extra[name] }])),
  };
}

const axesOf = (extra) => [...new Set(["xaxis", "yaxis", ...Object.keys(extra).filter((key) => /^[xy]axis\d*$/.test(key))])];

// Drawn when it comes near the window, or when the browser has time: a page opens with what is seen.
const near = new Set(["front-plot"]);
const watcher = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) if (isIntersecting) drawWaiting(target.id);
}, { rootMargin: "300px" });
const later = window.requestIdleCallback ? (what) => requestIdleCallback(what, { timeout: 300 }) : setTimeout;

function drawWaiting(id) {
  watcher.unobserve(at(id));
  if (near.has(id)) return;
  near.add(id);
  draw(id);
}

function drawInTime() {
  const id = [...drawn.keys()].find((each) => !near.has(each));
  if (id === undefined) return;
  drawWaiting(id);
  later(drawInTime);
}

function plot(id, content) {
  drawn.set(id, content);
  if (near.has(id) || isPrinted) draw(id);
  else watcher.observe(at(id));
}

// A click on a point of a plot, whose customdata are rows, selects its trial.
const clickable = new Set();
const clicked = (id) => clickable.add(id);

function draw(id) {
  const { traces, view } = drawn.get(id)();
  const displayModeBar = at(id).clientWidth > 500 ? "hover" : false; // else it lies over the legend
  const config = { responsive: true, displayModeBar, displaylogo: false, modeBarButtonsToRemove: ["lasso2d", "select2d", "sendChartToCloud"] };
  Plotly.react(at(id), traces, layout(view, at(id)), config);
  if (clickable.delete(id)) at(id).on("plotly_click", (event) => select(event.points[0].customdata));
}

function redrawForPrint(is) {
  isPrinted = is;
  redrawAll();
}

const redrawAll = () => drawn.forEach((content, id) => plot(id, content));
