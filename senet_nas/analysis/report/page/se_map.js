// How often each SE option stands at each place, on the front against in all trials.
function startSeMap() {
  const body = at("se-map-body");
  const map = data.se_map;
  if (!map || !map.places.length) {
    body.append(make("p", { class: "note" }, map ? "No trial has SE anywhere." : "Not shown: " + data.fault));
    return;
  }
  const kinds = [["presence", "SE or none"], ["r", "r"], ["placement", "placement"], ["squeeze", "squeeze"],
    ["excitation", "excitation"], ["label", "whole option"]];
  const list = make("select", { id: "se-kind" }, kinds.map(([value, text]) => make("option", { value }, text)));
  const holder = make("div");
  list.addEventListener("change", () => holder.replaceChildren(...seTable(map, list.value)));
  holder.append(...seTable(map, "presence"));
  body.append(make("div", { class: "controls" }, make("label", {}, "By ", list)), holder);
}

function seGroups(map, kind) {
  const name = (option, index) =>
    index === 0 ? "no SE" : kind === "presence" ? "SE" : kind === "r" ? "r " + option.r : String(option[kind]);
  const groups = new Map();
  map.options.forEach((option, index) => {
    const key = name(option, index);
    groups.set(key, [...(groups.get(key) || []), index]);
  });
  return groups;
}

function seTable(map, kind) {
  const groups = seGroups(map, kind);
  const sum = (counts, indices) => indices.reduce((total, index) => total + counts[index], 0);
  const total = (counts) => counts.reduce((a, b) => a + b, 0);
  const cell = (place, indices) => {
    const [front, all] = [total(place.front), total(place.all)];
    const [onFront, inAll] = [sum(place.front, indices) / (front || 1), sum(place.all, indices) / (all || 1)];
    const shade = Math.round(70 * onFront);
    const change = front ? onFront - inAll : 0;
    const arrow = change > 0.1 ? " ▲" : change < -0.1 ? " ▼" : "";
    return make("td", {
      style: `background: color-mix(in srgb, var(--accent) ${shade / 2}%, var(--paper))`,
      title: `${sum(place.front, indices)} of ${front} on the front, ${sum(place.all, indices)} of ${all} in all`,
    }, `${percent(onFront, front ? 1 : 0)} / ${percent(inAll, 1)}`,
      make("span", { class: change > 0 ? "more" : "less" }, arrow));
  };
  const rows = map.places.map((place) => make("tr", {}, make("td", {}, place.place),
    make("td", {}, `${total(place.front)} / ${total(place.all)}`),
    [...groups.values()].map((indices) => cell(place, indices))));
  const head = make("tr", {}, ["place", "networks", ...groups.keys()].map((text) => make("th", { scope: "col" }, text)));
  const few = map.on_front < 10 ? ` The front has ${map.on_front} networks only: its shares are coarse.` : "";
  return [
    scrolled("SE map", make("table", { class: "map" }, make("thead", {}, head), make("tbody", {}, rows))),
    make("p", { class: "note" }, "Share on the front / in all comparable trials, of the networks that have the block. " +
      "Marked where they differ by more than ten points." + few),
  ];
}
