// Plots in the page's own colours, drawn again when these change.
const drawn = new Map();
const MANY = 1500; // points, from which they are drawn by the graphics card

const PRINTED_WIDTH = 640; // pixels: paper is narrower than most windows
let isPrinted = false;

function layout(extra) {
  const axis = { gridcolor: colour("line"), linecolor: colour("line"), zeroline: false, automargin: true };
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: colour("ink"), family: "system-ui, sans-serif", size: 13 },
    margin: { l: 56, r: 12, t: 12, b: 48 },
    hovermode: "closest",
    modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("cloud"), activecolor: colour("accent") },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
    ...(isPrinted ? { width: PRINTED_WIDTH, autosize: false } : { autosize: true }),
    ...extra,
    xaxis: { ...axis, ...extra.xaxis },
    yaxis: { ...axis, ...extra.yaxis },
  };
}

function plot(id, content) {
  drawn.set(id, content);
  const { traces, view } = content();
  const displayModeBar = innerWidth > 500 ? "hover" : false; // else it lies over the legend
  const config = { responsive: true, displayModeBar, displaylogo: false, modeBarButtonsToRemove: ["lasso2d", "select2d", "sendChartToCloud"] };
  return Plotly.react(at(id), traces, layout(view), config);
}

function redrawForPrint(is) {
  isPrinted = is;
  redrawAll();
}

const redrawAll = () => drawn.forEach((content, id) => plot(id, content));
