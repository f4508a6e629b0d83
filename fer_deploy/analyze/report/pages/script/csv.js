// The CSV files of events and of excluded ranges: those that `fer-deploy analyze --events --exclude` reads.

const COLUMNS = { events: ["start", "end", "label", "video"], exclusions: ["start", "end", "person", "video"] };
const FILES = { events: "events.csv", exclusions: "exclude.csv" };

function csvOf(kind) {
  const found = [...marks[kind]].sort((one, other) => one.start - other.start);
  const rows = found.map((mark) => [mark.start.toFixed(3), mark.end.toFixed(3), mark.label ?? mark.person, DATA.video]);
  return [COLUMNS[kind], ...rows].map((row) => `${row.map(cellText).join(",")}\n`).join("");
}

function cellText(text) {
  return /[",;\t\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function saveCsv(kind) {
  if (!marks[kind].length) return say(`There is no ${ONE_OF[kind]} to save.`);
  const url = URL.createObjectURL(new Blob([csvOf(kind)], { type: "text/csv" }));
  make("a", { href: url, download: FILES[kind] }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
  say(`${FILES[kind]}: ${marks[kind].length} ${marks[kind].length === 1 ? "row" : "rows"}. It is among your downloads.`);
}

async function openCsv(file) {
  const [header, ...rows] = rowsOf(await file.text());
  const meant = (header ?? []).map((name) => DATA.columns[name.toLowerCase()] ?? name.toLowerCase());
  const names = meant.map((name) => (meant.includes(name.replace(/ clock$/, "")) ? name : name.replace(/ clock$/, "")));
  if (!names.includes("start") || !(names.includes("end") || names.includes("duration"))) {
    return say(`${file.name} has no columns start and end. fer-deploy analyze --events reads more forms than this page.`, true);
  }
  const kind = names.includes("label") ? "events" : "exclusions", found = [], left = [];
  for (const row of rows) {
    const cell = (name) => row[names.indexOf(name)] ?? "";
    const isOfAnother = cell("video") && !isThisVideo(cell("video"));
    const start = secondsFrom(cell("start")), end = secondsFrom(cell("end")) ?? start + secondsFrom(cell("duration"));
    if (isOfAnother || start === null || !(end > start) || (kind === "events" && !cell("label"))) left.push(row);
    else found.push(kind === "events" ? { start, end, label: cell("label") } : { start, end, person: cell("person") });
  }
  if (found.length) marks.add(kind, found);
  const leftOut = left.length ? `; left out: ${left.length}, of other videos or without time or label` : "";
  say(`${file.name}: ${found.length} ${ONE_OF[kind]}s${leftOut}`, left.length > 0);
}

function isThisVideo(cell) {
  const name = cell.split(/[\\/]/).at(-1);
  return name === DATA.video || name === DATA.video.replace(/\.[^.]*$/, "");
}

// The cells of each row that is not empty; the separator is the one that the header has.
function rowsOf(text) {
  const content = text.replace(/^\ufeff/, "");
  const header = content.split(/\r?\n/).find((line) => line.trim()) ?? "";
  const separator = ["\t", ";", ","].find((sign) => header.includes(sign)) ?? ",";
  const rows = [[""]];
  let isQuoted = false;
  for (let place = 0; place < content.length; place++) {
    const sign = content[place], row = rows.at(-1);
    if (isQuoted && sign === '"' && content[place + 1] === '"') row[row.length - 1] += content[++place];
    else if (sign === '"' && (isQuoted || !row.at(-1))) isQuoted = !isQuoted;
    else if (isQuoted) row[row.length - 1] += sign;
    else if (sign === separator) row.push("");
    else if (sign === "\n") rows.push([""]);
    else if (sign !== "\r") row[row.length - 1] += sign;
  }
  return rows.map((row) => row.map((cell) => cell.trim())).filter((row) => row.some(Boolean));
}
