// Chart of one person's emotions over the last 30 seconds: shares of 100 %, stacked in the order of the labels, or one
// area where the face was unreadable.

import { UNREADABLE } from "./picture.js";

export const WINDOW_MS = 30000;
const GAP_MS = 1000; // longer gaps between results stay empty
const MAX_POINTS = 700;

export class Chart {
  constructor(canvas, colors) {
    this.canvas = canvas;
    this.colors = colors;
    this.points = []; // { ms, tops }, tops[i]: the sum of the probabilities up to label i; tops null: unreadable
  }

  add(ms, probs) {
    this.points.push({ ms, tops: probs && topsOf(probs) });
    const firstKept = this.points.findIndex((point) => point.ms >= ms - WINDOW_MS - GAP_MS);
    this.points.splice(0, Math.max(firstKept, this.points.length - MAX_POINTS));
  }

  draw(nowMs) {
    const { canvas } = this;
    const ratio = Math.min(devicePixelRatio, 2);
    const width = Math.round(canvas.clientWidth * ratio), height = Math.round(canvas.clientHeight * ratio);
    if (!width || !height) return;
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    const toX = (ms) => width * (1 - (nowMs - ms) / WINDOW_MS);
    const toY = (share) => height * (1 - Math.min(1, share));
    for (const run of this.#runs()) {
      if (run[0].tops) this.#drawRun(context, run, toX, toY);
      else {
        context.fillStyle = UNREADABLE;
        context.fillRect(toX(run[0].ms), 0, toX(run.at(-1).ms) - toX(run[0].ms), height);
      }
    }
    drawSeconds(context, width, height, ratio);
  }

  #runs() {
    const runs = [];
    let last = { ms: -Infinity };
    for (const point of this.points) {
      const isNear = point.ms - last.ms <= GAP_MS;
      if (!isNear || !last.tops !== !point.tops) {
        if (isNear) runs.at(-1).push({ ms: point.ms, tops: last.tops }); // no hole where the kind changes
        runs.push([]);
      }
      runs.at(-1).push(point);
      last = point;
    }
    return runs;
  }

  #drawRun(context, run, toX, toY) {
    for (let label = this.colors.length - 1; label >= 0; label--) {
      // From the last label down, each drawn over the previous one: no gaps between neighbors.
      context.beginPath();
      context.moveTo(toX(run[0].ms), toY(0));
      for (const point of run) context.lineTo(toX(point.ms), toY(point.tops[label]));
      context.lineTo(toX(run.at(-1).ms), toY(0));
      context.fillStyle = this.colors[label];
      context.fill();
    }
    context.lineWidth = 1;
    context.strokeStyle = "rgb(0 0 0 / .55)";
    for (let label = 0; label < this.colors.length - 1; label++) {
      context.beginPath();
      for (const point of run) context.lineTo(toX(point.ms), toY(point.tops[label]));
      context.stroke();
    }
  }
}

function topsOf(probs) {
  const total = probs.reduce((sum, prob) => sum + prob, 0) || 1; // the values are rounded
  let sum = 0;
  return probs.map((prob) => (sum += prob / total));
}

function drawSeconds(context, width, height, ratio) {
  context.font = `${11 * ratio}px system-ui, sans-serif`;
  context.textBaseline = "bottom";
  for (const seconds of [10, 20]) {
    const x = Math.round(width * (1 - (seconds * 1000) / WINDOW_MS));
    context.fillStyle = "rgb(255 255 255 / .35)";
    context.fillRect(x, 0, 1, height);
    const text = `${seconds} s ago`, textWidth = context.measureText(text).width;
    context.fillStyle = "rgb(0 0 0 / .6)";
    context.fillRect(x + 1, height - 16 * ratio, textWidth + 8 * ratio, 16 * ratio);
    context.fillStyle = "#fff";
    context.fillText(text, x + 4 * ratio, height - 2 * ratio);
  }
}
