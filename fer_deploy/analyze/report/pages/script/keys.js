// Keys and buttons, and the start of the page.

const player = new Player(byId("video"));
const lists = [
  new MarksList(byId("events"), "events", player),
  new MarksList(byId("exclusions"), "exclusions", player),
];
const ask = new Ask(byId("ask"), byId("ask-label"));
const plots = [...document.querySelectorAll("article")].map((article, row) => new Plot(article, PEOPLE[row]));
const overview = new Overview(byId("overview"));

function toggleMark(kind) {
  const mark = marks.toggle(kind);
  const again = kind === "events" ? "E" : "X";
  if (!mark) say(`${ONE_OF[kind]} from ${clockText(view.cursor)}; go to its end and press ${again} or the button again`);
  else say(`${ONE_OF[kind]} from ${clockText(mark.start)} to ${clockText(mark.end)}`);
  if (mark && kind === "events") ask.about(mark);
}

const ACTIONS = {
  play: () => player.toggle(),
  back: () => player.step(-1),
  forth: () => player.step(1),
  secondBack: () => player.seek(view.cursor - 1),
  secondForth: () => player.seek(view.cursor + 1),
  event: () => toggleMark("events"),
  exclude: () => toggleMark("exclusions"),
  undo: () => marks.undo() || say("There is nothing to undo."),
  closer: () => view.zoom(0.5),
  wider: () => view.zoom(2),
  whole: () => view.showAll(),
  escape: () => marks.dropOpen() || view.showAll(),
  "save-events": () => saveCsv("events"),
  "save-exclusions": () => saveCsv("exclusions"),
};
const KEYS = {
  " ": "play", ArrowLeft: "back", ArrowRight: "forth", e: "event", x: "exclude", z: "undo", "+": "closer", "=": "closer",
  "-": "wider", Escape: "escape",
};
const MAY_REPEAT = ["back", "forth", "secondBack", "secondForth", "undo", "closer", "wider"]; // while a key is held
const SHIFTED = { ArrowLeft: "secondBack", ArrowRight: "secondForth" };

document.addEventListener("keydown", (event) => {
  const isUndo = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z";
  if ((event.ctrlKey || event.metaKey || event.altKey) && !isUndo) return;
  if (byId("best").open || event.target.closest("input, select, textarea")) return;
  if (event.key === " " && event.target.closest("button, summary, a")) return; // it presses that one
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const action = (event.shiftKey && SHIFTED[key]) || KEYS[key];
  if (!action) return;
  event.preventDefault();
  event.stopPropagation();
  if (!event.repeat || MAY_REPEAT.includes(action)) ACTIONS[action]();
}, { capture: true }); // before the controls of the video

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-do]");
  if (!button) return;
  ACTIONS[button.dataset.do]();
  if (event.detail) button.blur(); // pressed with the mouse: the space bar is for the video again
});

byId("speed").addEventListener("change", ({ target }) => {
  player.setSpeed(Number(target.value));
  target.blur(); // so that the keys are those of the page again
});
for (const input of [byId("file"), byId("other-file")]) {
  input.addEventListener("change", () => input.files.length && player.open(input.files[0]));
}
byId("csv").addEventListener("change", async ({ target }) => {
  if (target.files.length) await openCsv(target.files[0]);
  target.value = ""; // the same file may be opened again
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  byId("pick").classList.add("over");
});
document.addEventListener("dragleave", () => byId("pick").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  byId("pick").classList.remove("over");
  const [file] = event.dataTransfer.files;
  if (file) (/\.(csv|tsv)$/i.test(file.name) ? openCsv(file) : player.open(file));
});

document.querySelectorAll("article").forEach((article, row) => {
  article.querySelector(".face")?.addEventListener("click", () => showBest(PEOPLE[row], player));
});

let isAsked = false, isSameRange = true;
function drawSoon() {
  if (isAsked) return;
  isAsked = true;
  requestAnimationFrame(() => {
    for (const one of [...plots, overview]) one.draw({ isSameRange });
    isAsked = false;
    isSameRange = true;
  });
}

function drawAllSoon() {
  isSameRange = false;
  drawSoon();
}

function showMarks() {
  for (const [kind, name] of [["events", "event"], ["exclusions", "exclude"]]) {
    document.querySelector(`[data-do=${name}]`).classList.toggle("on", marks.open[kind] !== null);
  }
  document.querySelector("[data-do=save-events]").disabled = !marks.events.length;
  document.querySelector("[data-do=save-exclusions]").disabled = !marks.exclusions.length;
  drawSoon();
}

plots.forEach((plot) => listenToPlot(plot, player));
listenToScrubbing(overview.box, player, (share) => BEGIN_S + share * WHOLE_S);
view.addEventListener("range", drawAllSoon);
view.addEventListener("cursor", () => {
  for (const one of [...plots, overview]) one.moveCursor();
  if (marks.open.events !== null || marks.open.exclusions !== null) drawSoon();
});
marks.addEventListener("change", showMarks);
addEventListener("resize", drawAllSoon);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAllSoon);
showMarks();
drawAllSoon();
