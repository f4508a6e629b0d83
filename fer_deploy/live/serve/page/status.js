// Tiles and tables with the state of the loop.

const byId = (id) => document.getElementById(id);

export function showStatus(status) {
  byId("fps").textContent = status.fps.toFixed(1);
  byId("p50").textContent = milliseconds(status.p50_ms);
  byId("p95").textContent = milliseconds(status.p95_ms);
  byId("dropped").textContent = sum(status.sources, "dropped").toLocaleString("en");
  byId("reconnects").textContent = sum(status.sources, "reconnects").toLocaleString("en");
  const madeWith = Object.entries(status.made_with).map(([what, words]) => `${what}: ${words}`);
  if (status.detect_every > 1) madeWith.push(`the detector looks at 1 frame in ${status.detect_every}`);
  byId("made-with").textContent = madeWith.join(" · ");
  const counts = ["dropped", "reconnects", "stalls", "frozen", "corrupt", "missing"];
  fill("sources", ["source", "state", ...counts, "last error"],
    status.sources.map((s) => [s.name, s.state, ...counts.map((count) => s[count]), s.error]));
  fill("stages", ["stage", "median ms", "95 % ms", "busy"],
    status.stages.map((s) => [s.name, s.p50_ms.toFixed(1), s.p95_ms.toFixed(1), `${Math.round(s.busy * 100)} %`]));
  fill("sinks", ["output", "written", "dropped", "failure"],
    status.sinks.map((s) => [s.name, s.written, s.dropped, s.failure]));
}

export function listSources(choice, select, sources) {
  choice.hidden = sources.length < 2;
  const names = sources.map((source, index) => source.name || `source ${index}`);
  if (names.join("\n") === [...select.options].map((option) => option.text).join("\n")) return;
  const chosen = select.value || "0";
  select.replaceChildren(...names.map((name, index) => new Option(name, index)));
  select.value = Number(chosen) < names.length ? chosen : "0";
}

function milliseconds(value) {
  return value === null ? "–" : `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}

function sum(rows, key) {
  return rows.reduce((total, row) => total + row[key], 0);
}

function fill(id, head, rows) {
  const table = byId(id);
  if (!table.closest("details").open) return;
  const cells = (tag, values) => values.map((value, index) => {
    const cell = document.createElement(tag);
    cell.textContent = value;
    if (/error|failure/.test(head[index])) cell.className = "words";
    return cell;
  });
  const lines = [cells("th", head), ...rows.map((row) => cells("td", row))].map((line) => {
    const tr = document.createElement("tr");
    tr.append(...line);
    return tr;
  });
  table.replaceChildren(table.caption, ...lines);
}
