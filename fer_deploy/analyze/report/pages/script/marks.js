// Marks: events and excluded ranges, kept in this browser so that a reload loses nothing.

const KEPT_AS = `fer-deploy marks ${DATA.key}`;
const MOST_UNDONE = 200;
const ONE_OF = { events: "event", exclusions: "excluded range" };

class Marks extends EventTarget {
  events = []; // { start, end, label }
  exclusions = []; // { start, end, person }: "" for all people, else a name or a number
  open = { events: null, exclusions: null }; // the start of one that has no end yet
  #before = [];

  constructor() {
    super();
    this.#load();
  }

  // All of a kind, and the open one up to the cursor.
  shown(kind) {
    const start = this.open[kind];
    if (start === null) return this[kind];
    return [...this[kind], { start: Math.min(start, view.cursor), end: Math.max(start, view.cursor) }];
  }

  // Starts one at the cursor, or ends it and returns it.
  toggle(kind) {
    const start = this.open[kind];
    if (start === null) {
      this.change(() => (this.open[kind] = view.cursor));
      return null;
    }
    const [first, last] = [start, view.cursor].sort((one, other) => one - other).map(rounded);
    const end = last > first ? last : rounded(first + 1 / DATA.fps); // at least a frame
    const mark = { start: first, end };
    if (kind === "events") mark.label = `event ${this.events.length + 1}`;
    else mark.person = "";
    this.change(() => {
      this.open[kind] = null;
      this[kind].push(mark);
    });
    return mark;
  }

  dropOpen() {
    if (this.open.events === null && this.open.exclusions === null) return false;
    this.change(() => (this.open = { events: null, exclusions: null }));
    return true;
  }

  add(kind, found) {
    this.change(() => this[kind].push(...found));
  }

  remove(kind, mark) {
    this.change(() => (this[kind] = this[kind].filter((one) => one !== mark)));
  }

  // Changes a value of one of them; the lists keep their rows, so that the focus stays.
  edit(mark, changes) {
    this.change(() => Object.assign(mark, changes), { areSame: true });
  }

  change(how, { areSame = false } = {}) {
    this.#before.push(this.#text());
    this.#before.splice(0, this.#before.length - MOST_UNDONE);
    how();
    this.#tell(areSame);
  }

  undo() {
    const before = this.#before.pop();
    if (before === undefined) return false;
    this.#restore(before);
    this.#tell(false);
    return true;
  }

  #text() {
    const { events, exclusions, open } = this;
    return JSON.stringify({ events, exclusions, open });
  }

  #restore(text) {
    const { events, exclusions, open } = JSON.parse(text);
    const times = ({ start, end }) => Number.isFinite(start) && Number.isFinite(end);
    this.events = events.filter(times).map(({ start, end, label }) => ({ start, end, label: String(label) }));
    this.exclusions = exclusions.filter(times).map(({ start, end, person }) => ({ start, end, person: String(person) }));
    this.open = { events: open.events ?? null, exclusions: open.exclusions ?? null };
  }

  #load() {
    try {
      const kept = localStorage.getItem(KEPT_AS);
      if (kept) this.#restore(kept);
    } catch {
      // a browser that keeps nothing, or something else under this name
    }
  }

  #tell(areSame) {
    try {
      localStorage.setItem(KEPT_AS, this.#text());
    } catch {
      say("This browser does not keep events and ranges: save them before you leave the page.", true);
    }
    this.dispatchEvent(new CustomEvent("change", { detail: { areSame } }));
  }
}

function rounded(seconds) {
  return Math.round(seconds * 1000) / 1000;
}

const marks = new Marks();
