// Failed trials, and what the run was.
function startRun() {
  const failed = data.failed;
  at("failed-body").append(failed.length
    ? scrolled("Failed trials", make("table", {}, ...table(["trial", "attempts", "reason"],
      failed.map((each) => [String(each.number), String(each.attempts), each.reason]), ["", "", "text wrap"])))
    : make("p", { class: "note" }, "None."));
  const facts = Object.entries(data.seeds).map(([key, value]) => [key, String(value)]);
  at("run-body").append(
    ...launchesOf(data.launches),
    make("h3", {}, "Seeds"),
    facts.length ? scrolled("Seeds", make("table", {}, ...table(["setting", "value"], facts, ["text"]))) : "None set.",
    make("p", { class: "note" }, `This page was written by senet-nas ${data.writer}.`),
    make("h3", {}, "run.toml, as it was resolved"), make("pre", {}, data.run_file),
    copyButton("Copy run.toml", () => data.run_file));
}

// When, with what and where the run was started, and went on.
function launchesOf(launches) {
  const title = make("h3", {}, "Versions and machine");
  if (!launches.length) {
    return [title, make("p", { class: "note" }, "Not recorded: the run was made by an older version of senet-nas.")];
  }
  const rows = launches.map((launch, n) => [
    (n ? "went on " : "started ") + launch.time.replace("T", " ").replace("+00:00", " UTC"), String(launch.evaluations),
    Object.entries(launch.versions).map(([name, version]) => `${name} ${version}`).join(", "), machineText(launch.machine)]);
  return [title, scrolled("Versions and machine", make("table", {},
    ...table(["", "evaluations before", "versions", "machine"], rows, ["text", "", "text wrap", "text wrap"])))];
}

function machineText(machine) {
  const { processor, system, gpus, usable_cores: usable, cluster } = machine;
  const names = [...new Set(gpus || [])].map((name) => `${gpus.filter((gpu) => gpu === name).length} × ${name}`);
  return [processor, usable ? `${usable} of them usable` : null, names.length ? names.join(", ") : "no GPU", system,
    cluster ? `cluster at ${cluster}` : null].filter(Boolean).join("; ");
}
