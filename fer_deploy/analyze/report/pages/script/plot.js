// Plots: the curves of each person with the band of quality below, and the overview of the whole video.

const CURVE_HEIGHT = 72, BAND_TOP = 75, BAND_HEIGHT = 11; // CSS pixels
const TICK_STEPS_S = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];
const LESS_THAN_A_TICK_PX = 75;

function styleColor(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// Returns the context of a canvas whose pixels are those of the screen; null if it is not shown.
function sharpContext(canvas) {
  const ratio = Math.min(devicePixelRatio, 2);
  const width = Math.round(canvas.clientWidth * ratio), height = Math.round(canvas.clientHeight * ratio);
  if (!width || !height) return null;
  Object.assign(canvas, { width, height });
  return { context: canvas.getContext("2d"), width, height, ratio };
}

class Plot {
  constructor(article, person) {
    this.person = person;
    this.box = article.querySelector(".plot");
    this.canvas = article.querySelector("canvas");
    this.cursor = article.querySelector(".cursor");
    this.brush = article.querySelector(".brush");
    this.axis = article.querySelector(".axis");
    this.reading = article.querySelector(".reading");
    this.pointed = null; // the moment below the pointer
  }

  // The curves change with the range; what is drawn over them, also while a video plays.
  draw({ isSameRange = false } = {}) {
    const made = sharpContext(this.canvas);
    if (!made) return;
    const { context, width, height, ratio } = made;
    if (!isSameRange || this.curves?.width !== width || this.curves?.height !== height) {
      this.curves = make("canvas", { width, height });
      this.#drawCurves(this.curves.getContext("2d"), width, ratio);
      this.drawAxis();
    }
    context.drawImage(this.curves, 0, 0);
    drawMarks(context, width, CURVE_HEIGHT * ratio, view, this.person);
    this.moveCursor();
  }

  #drawCurves(context, width, ratio) {
    const top = CURVE_HEIGHT * ratio, bottom = (BAND_TOP + BAND_HEIGHT) * ratio;
    const band = [[styleColor("--good"), 0.3], [styleColor("--flagged"), 0.65], [styleColor("--bad"), 1]];
    const isFine = view.span / BIN_S < width; // bins are wider than pixels
    for (let x = 0; x < width; x++) {
      const found = isFine
        ? this.person.between(view.timeAt((x + 0.5) / width))
        : this.person.over(...binsOf(view.timeAt(x / width), view.timeAt((x + 1) / width)));
      if (!found) continue;
      let level = 0;
      for (let label = 0; label < NUM_SHARES; label++) {
        const height = found.shares[label] * top;
        context.fillStyle = DATA.colors[label];
        context.fillRect(x, top - level - height, 1, height + (level ? 0.5 : 0));
        level += height;
      }
      const [color, share] = band[found.shares.at(-1) >= 0.5 ? 2 : found.flags ? 1 : 0];
      const height = Math.round(share * BAND_HEIGHT * ratio);
      context.fillStyle = color;
      context.fillRect(x, bottom - height, 1, height);
    }
  }

  drawAxis() {
    const width = this.axis.clientWidth, most = Math.max(2, Math.floor(width / LESS_THAN_A_TICK_PX));
    const step = TICK_STEPS_S.find((one) => view.span / one <= most) ?? 86400;
    const ticks = [];
    for (let tick = Math.ceil(view.start / step - 1e-6); tick * step <= view.end + 1e-6; tick++) {
      const x = view.shareOf(tick * step) * width;
      if (x > width - 18 || (x < 18 && ticks.length)) continue;
      const span = make("span", { textContent: clockText(tick * step, step < 1 ? 1 : 0) });
      span.style.left = `${x}px`;
      if (!ticks.length) span.style.transform = x < 18 ? "none" : "translateX(-50%)";
      ticks.push(span);
    }
    this.axis.replaceChildren(...ticks);
  }

  moveCursor() {
    const share = view.shareOf(view.cursor);
    this.cursor.hidden = share < 0 || share > 1;
    this.cursor.style.left = `${100 * share}%`;
    this.read();
  }

  // What the person shows at the pointer, or else at the cursor.
  read() {
    const seconds = this.pointed ?? view.cursor;
    const found = this.person.at(seconds);
    this.reading.textContent = `${clockText(seconds)} · ${found ? wordsOf(found) : "not visible"}`;
  }
}

function wordsOf({ shares, flags, isUnsure }) {
  const labels = [...DATA.labels, "unreadable"];
  const most = shares.map((share, label) => [share, labels[label]]).filter(([share]) => share >= 0.005);
  most.sort((one, other) => other[0] - one[0]);
  const shown = most.slice(0, 3).map(([share, label]) => `${label} ${Math.round(100 * share)} %`).join(", ");
  const words = isUnsure ? `unsure: ${shown}` : shown;
  return flags ? `${words} · ${flagNames(flags).join(", ")}` : words;
}

// Events as a line at the top, excluded ranges as a veil, both also while they are open.
function drawMarks(context, width, height, range, person) {
  const toX = (seconds) => ((seconds - range.start) / (range.end - range.start)) * width;
  const span = (mark) => [toX(mark.start), Math.max(2, toX(mark.end) - toX(mark.start))];
  for (const mark of marks.shown("exclusions")) {
    if (person && mark.person && mark.person !== person.csvName) continue;
    const [x, wide] = span(mark);
    context.save();
    context.fillStyle = styleColor("--excluded");
    context.fillRect(x, 0, wide, height);
    context.beginPath();
    context.rect(x, 0, wide, height);
    context.clip();
    context.strokeStyle = styleColor("--ink");
    for (let at = Math.max(x, 0) - height; at < Math.min(x + wide, width); at += 12) {
      context.beginPath();
      context.moveTo(at, height);
      context.lineTo(at + height, 0);
      context.stroke();
    }
    context.restore();
  }
  for (const mark of marks.shown("events")) {
    const [x, wide] = span(mark), thick = Math.max(4, height / 14);
    context.fillStyle = styleColor("--card");
    context.fillRect(x - 1, 0, wide + 2, thick + 2);
    context.fillStyle = styleColor("--event");
    context.fillRect(x, 0, wide, thick);
    context.fillRect(x, 0, 2, height);
    context.fillRect(x + wide - 2, 0, 2, height);
  }
}

class Overview {
  constructor(box) {
    this.box = box;
    this.canvas = box.querySelector("canvas");
    this.cursor = box.querySelector(".cursor");
    box.ariaValueMin = BEGIN_S.toFixed(2);
    box.ariaValueMax = END_S.toFixed(2);
  }

  draw() {
    const made = sharpContext(this.canvas);
    if (!made) return;
    const { context, width, height } = made;
    if (this.rows?.width !== width || this.rows?.height !== height) {
      this.rows = make("canvas", { width, height });
      this.#drawRows(this.rows.getContext("2d"), width, height);
    }
    context.drawImage(this.rows, 0, 0);
    drawMarks(context, width, height, { start: BEGIN_S, end: END_S });
    if (!view.isWhole) {
      const [from, to] = [view.start, view.end].map((seconds) => ((seconds - BEGIN_S) / WHOLE_S) * width);
      context.fillStyle = "rgb(0 0 0 / .45)";
      context.fillRect(0, 0, from, height);
      context.fillRect(to, 0, width - to, height);
      context.strokeStyle = styleColor("--accent");
      context.lineWidth = 3;
      context.strokeRect(from, 1, Math.max(3, to - from), height - 2);
    }
    this.moveCursor();
  }

  // A row for each person: what they show most.
  #drawRows(context, width, height) {
    const seen = PEOPLE.slice(0, 12), each = height / Math.max(1, seen.length);
    const toS = (x) => BEGIN_S + (x / width) * WHOLE_S;
    seen.forEach((person, row) => {
      for (let x = 0; x < width; x++) {
        const found = person.over(...binsOf(toS(x), toS(x + 1)));
        if (!found) continue;
        context.fillStyle = found.isUnsure ? DATA.unsure : DATA.colors[found.shares.indexOf(Math.max(...found.shares))];
        context.fillRect(x, row * each, 1, Math.max(1, each - 1));
      }
    });
  }

  moveCursor() {
    this.cursor.style.left = `${(100 * (view.cursor - BEGIN_S)) / WHOLE_S}%`;
    this.box.ariaValueNow = view.cursor.toFixed(2);
    this.box.ariaValueText = clockText(view.cursor);
    byId("clock").textContent = clockText(view.cursor);
  }
}
