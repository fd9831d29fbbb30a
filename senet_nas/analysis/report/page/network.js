// A network block by block, from the tables; built when it is chosen and not before.
const nets = data.networks;

function partOf(id) {
  const [block, params, macs, activations, ...shape] = nets.parts[id];
  return { data: nets.blocks[block], params, macs, activations, shape };
}

function architecture(net) {
  if (net.source !== undefined) {
    const gates = net.gates.map((id) => partOf(id).data);
    return { retrofit: net.source, se: Object.fromEntries(gates.map((gate) => [gate.place, gate.se])) };
  }
  const blocks = (ids) => ids.map((id) => partOf(id).data);
  const { head, ...rest } = nets.heads[net.head];
  return { stem: blocks(net.stem), stages: net.stages.map(blocks), head: { ...head, blocks: blocks(net.tail) }, ...rest };
}

function seText(se) {
  const words = [`r ${se.r}`, se.placement || "standard", se.squeeze || "avg", se.excitation || "sigmoid"];
  for (const [key, value] of Object.entries(se)) {
    if (!["r", "placement", "squeeze", "excitation"].includes(key)) words.push(`${key} ${value}`);
  }
  return "SE: " + words.join(", ");
}

function blockBox(name, part, most) {
  const block = part.data || {};
  const lines = [];
  if (block.channels) lines.push(`${block.channels} wide, stride ${block.stride || 1}, kernel ${block.kernel || 3}`);
  const said = ["cell", "channels", "stride", "kernel", "se", "place"];
  const others = Object.entries(block).filter(([key]) => !said.includes(key));
  if (others.length) lines.push(others.map(([key, value]) => `${key} ${value}`).join(", "));
  const counted = part.params !== undefined;
  return make("div", { class: "block" + (block.se ? " with-se" : "") },
    make("b", {}, name),
    lines.map((line) => make("div", {}, line)),
    block.se ? make("div", { class: "se" }, seText(block.se)) : null,
    make("div", { class: "cost" }, counted
      ? `${amount(part.macs)} MACs, ${amount(part.params)} parameters, ${amount(part.activations)} activations`
      : "cost not counted"),
    part.shape.length ? make("div", { class: "cost" }, "→ " + part.shape.join(" × ")) : null,
    counted ? make("div", { class: "bar", style: `width:${(100 * part.macs) / most}%`, title: "share of MACs" }) : null);
}

function drawing(net) {
  const rooms = net.source !== undefined
    ? [["network", [["whole network " + net.source, net.base]]],
       ["SE joined", net.gates.map((id) => [partOf(id).data.place, id])]]
    : [["stem", net.stem], ...net.stages.map((ids, n) => [`stage ${n + 1}`, ids]), ["head", net.tail]]
        .map(([name, ids]) => [name, ids.map((id) => [partOf(id).data.cell, id])]);
  if (net.classifier !== undefined) rooms.push(["classifier", [["average, classifier", net.classifier]]]);
  const most = Math.max(1, ...rooms.flatMap(([, boxes]) => boxes.map(([, id]) => partOf(id).macs || 0)));
  return make("div", { class: "strip" }, rooms.filter(([, boxes]) => boxes.length).map(([name, boxes]) =>
    make("div", { class: "stage" }, make("p", {}, name),
      make("div", { class: "blocks" }, boxes.map(([title, id]) => blockBox(title, partOf(id), most))))));
}

function commands(row) {
  const directory = quoted(data.name);
  const trial = trials.number[row];
  const out = quoted(`${data.name}/retrained-${trial}`);
  return `senet-nas retrain ${directory} --arch ${trial} --recipe cifar_fast --out ${out}\n` +
    `senet-nas export ${out}/${data.checkpoint} --format onnx`;
}

function drawNetwork(row) {
  const title = `Trial ${trials.number[row]}`;
  const scores = data.axes.map((axis) => `${axis.label} ${number(scoreOf(row, axis))}`).join(" · ");
  const body = [make("h3", {}, title), make("p", {}, scores),
    make("p", { class: "note" }, `architecture ${trials.architecture[row]}, ${number(trials.seconds[row])} device-seconds`)];
  if (!nets) {
    body.push(make("p", { class: "note" }, "Its network can't be drawn: " + data.fault));
  } else {
    const net = nets.networks[row];
    const json = JSON.stringify(architecture(net), null, 2);
    body.push(make("p", { class: "note" },
      `Costs for one image of ${nets.image_size} × ${nets.image_size} and ${nets.classes} classes; bars are MACs, an orange edge is SE.`),
      drawing(net),
      make("h3", {}, "Take it home"),
      make("pre", { id: "commands" }, commands(row)), copyButton("Copy commands", () => commands(row)),
      make("p", { class: "note" }, "Any recipe will do in the place of cifar_fast; `--data` names the images where they have moved."),
      make("details", {}, make("summary", {}, "Its JSON"), make("pre", { id: "json" }, json)),
      copyButton("Copy JSON", () => json));
  }
  at("network-body").replaceChildren(...body);
}

function startNetwork() {
  onSelection.push(drawNetwork);
  if (selected !== null) {
    drawNetwork(selected);
  } else {
    at("network-body").replaceChildren(make("p", { class: "note" }, "Choose a network on the front: click its point, or its button in the table."));
  }
}
