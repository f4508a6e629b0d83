// fer-deploy live: connects the parts of the page.

import { Connection } from "./connection.js";
import { Events } from "./events.js";
import { People } from "./people.js";
import { Picture } from "./picture.js";
import { listSources, showStatus } from "./status.js";

const STALE_MS = 3000;
const byId = (id) => document.getElementById(id);
const picture = new Picture(byId("picture"));
const people = new People({ list: byId("people"), nobody: byId("nobody"), more: byId("more") });
const events = new Events({ box: byId("events"), said: byId("noted") });
const stage = document.querySelector(".stage"), select = byId("source");

let colors = [], run = null, isLost = false, lastStatus = null;
let announced = null; // the result whose picture is the next message
let resultMs = -Infinity;

const connection = new Connection({
  onMessage(message) {
    if (message.type === "hello") greet(message);
    else if (message.type === "status") takeStatus(message);
    else if (message.source === connection.source) takeResult(message);
    else if (message.picture) announced = null; // of the previously chosen source
  },
  async onPicture(jpeg) {
    const result = announced;
    try {
      if (result) await picture.show(jpeg, result, colors, () => announced === result);
    } finally {
      // A hidden page requests no pictures; it requests one again when it becomes visible.
      if (!document.hidden) connection.wantPicture();
    }
  },
  onState(state, reason) {
    isLost = state === "lost";
    say(reason);
  },
});

document.addEventListener("visibilitychange", () => document.hidden || connection.wantPicture());
select.addEventListener("change", () => choose(Number(select.value)));
setInterval(() => say(""), 500);

function greet(hello) {
  colors = hello.colors;
  people.describe(hello.labels, colors);
  if (run !== null && run !== hello.run) forget(); // another run numbers its people from 1
  run = hello.run;
  events.refresh();
}

function takeResult(result) {
  if (result.picture) announced = result;
  resultMs = performance.now();
  people.update(result.faces);
  byId("faces").textContent = result.faces.length;
}

function takeStatus(status) {
  lastStatus = status;
  showStatus(status);
  listSources(byId("source-choice"), select, status.sources);
  if (Number(select.value) !== connection.source) choose(Number(select.value));
  say("");
}

function choose(source) {
  forget();
  connection.choose(source);
}

function forget() {
  people.clear();
  picture.clear();
  announced = null;
  resultMs = -Infinity;
  byId("faces").textContent = "–";
}

// The pill shows the state; the notice on the picture shows why it does not change.
let lostReason = "";
function say(reason) {
  lostReason = isLost ? reason || lostReason : "";
  const state = isLost ? "lost" : (lastStatus?.health ?? "waiting");
  const words = { lost: "disconnected", waiting: "connecting", ok: "live", degraded: "degraded", failed: "down" };
  show(byId("connection"), words[state]);
  byId("connection").dataset.state = state;
  const isStale = isLost || performance.now() - resultMs > STALE_MS;
  stage.classList.toggle("stale", isStale);
  byId("notice").hidden = !isStale;
  if (isStale) byId("faces").textContent = "–";
  if (isStale) show(byId("notice"), isLost ? lostNotice() : staleNotice());
}

function lostNotice() {
  return `Disconnected${lostReason ? `: ${lostReason}` : ""}. Trying again…`;
}

function staleNotice() {
  const source = lastStatus?.sources[connection.source];
  if (!source) return "Waiting for the first picture";
  const since = resultMs > 0 ? `, no picture for ${Math.round((performance.now() - resultMs) / 1000)} s` : "";
  return `${source.name}: ${source.state}${since}${source.error ? ` (${source.error})` : ""}`;
}

function show(target, text) {
  if (target.textContent !== text) target.textContent = text; // a screen reader announces every change
}
