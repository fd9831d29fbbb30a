// Failed trials, and what the run was.
function startRun() {
  const failed = data.failed;
  at("failed-body").append(failed.length
    ? scrolled("Failed trials", make("table", {}, ...table(["trial", "attempts", "reason"],
      failed.map((each) => [String(each.number), String(each.attempts), each.reason]), ["", "", "text wrap"])))
    : make("p", { class: "note" }, "None."));
  const facts = [...Object.entries(data.seeds), ...Object.entries(data.versions), ["machine", data.machine]];
  at("run-body").append(
    scrolled("Seeds and versions", make("table", {}, ...table(["", ""], facts.map(([k, v]) => [k, String(v)]), ["text", "text wrap"]))),
    make("p", { class: "note" }, "Versions and machine are of what wrote this page; the run's folder doesn't record its own."),
    make("h3", {}, "run.toml, as it was resolved"), make("pre", {}, data.run_file),
    copyButton("Copy run.toml", () => data.run_file));
  for (const [name, file] of Object.entries(data.beside)) {
    at("run-body").append(make("h3", {}, name));
    if (file.data && file.data.verdict) at("run-body").append(make("p", {}, String(file.data.verdict)));
    at("run-body").append(make("pre", {}, file.fault || JSON.stringify(file.data, null, 1)));
  }
}
