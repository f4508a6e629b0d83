// The newest picture, with the boxes of the same frame drawn over it.

import { placeTags } from "./tags.js";

const MAX_CANVAS_PX = 1920, FONT_PX = 13;
const INK = "#141414", UNSURE = "#666066", UNSURE_INK = "#ffffff";
export const UNREADABLE = "#543c0c";

export class Picture {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.shown = null; // { bitmap, result }
    new ResizeObserver(() => this.shown && this.#draw()).observe(canvas);
  }

  // isWanted(): called after decoding; false if another source was chosen meanwhile
  async show(jpeg, result, colors, isWanted) {
    const bitmap = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
    if (!isWanted()) return bitmap.close();
    this.shown?.bitmap.close();
    this.shown = { bitmap, result, colors };
    this.#draw();
    const names = result.faces.map((face) => `${face.person === null ? "new face" : `person ${face.person}`}: ${face.label}`);
    const label = names.length ? `Live picture with ${names.join(", ")}` : "Live picture, nobody in it";
    if (this.canvas.ariaLabel !== label) this.canvas.ariaLabel = label;
  }

  clear() {
    this.shown?.bitmap.close();
    this.shown = null;
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.canvas.ariaLabel = "No picture yet";
  }

  #draw() {
    const { bitmap, result, colors } = this.shown;
    const { canvas, context } = this;
    canvas.style.aspectRatio = `${result.width} / ${result.height}`;
    // The canvas element may be wider than the picture (max-height, object-fit); text is sized for the visible pixels.
    const shownWidth = Math.min(canvas.clientWidth, (canvas.clientHeight * result.width) / result.height);
    if (shownWidth <= 0) return;
    const width = Math.min(MAX_CANVAS_PX, Math.round(shownWidth * devicePixelRatio));
    const height = Math.round((width * result.height) / result.width);
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    context.drawImage(bitmap, 0, 0, width, height);
    const scale = width / result.width, unit = width / shownWidth;
    context.font = `600 ${FONT_PX * unit}px system-ui, sans-serif`;
    const faces = result.faces.map((face) => ({ ...face, box: face.box.map((value) => value * scale) }));
    const tags = placeTags(faces, {
      width, height, gap: 3 * unit, pad: 5 * unit, bar: 20 * unit, measure: (text) => context.measureText(text).width,
    });
    for (const face of faces) this.#drawBox(face, colorOf(face, colors), unit);
    tags.forEach((tag, index) => tag && this.#drawTag(tag, faces[index], colorOf(faces[index], colors), unit));
  }

  // unit: canvas pixels per CSS pixel
  #drawBox(face, color, unit) {
    const { context } = this;
    const [x1, y1, x2, y2] = face.box, inset = 2 * unit;
    if (face.color === null) { // its color is dark: a light line within shows it on dark pictures
      context.setLineDash([]);
      context.strokeStyle = UNSURE_INK;
      context.lineWidth = unit;
      context.strokeRect(x1 + inset, y1 + inset, x2 - x1 - 2 * inset, y2 - y1 - 2 * inset);
    }
    context.strokeStyle = color;
    context.lineWidth = 2.5 * unit;
    context.setLineDash(face.detected ? [] : [6 * unit, 5 * unit]); // dashed if predicted
    context.strokeRect(x1, y1, x2 - x1, y2 - y1);
  }

  #drawTag({ text, x, y, width, height }, face, color, unit) {
    const { context } = this;
    context.fillStyle = color;
    context.fillRect(x, y, width, height);
    context.fillStyle = face.color === null ? UNSURE_INK : INK;
    context.textBaseline = "middle";
    context.fillText(text, x + 5 * unit, y + height / 2);
  }
}

function colorOf(face, colors) {
  if (!face.readable) return UNREADABLE;
  return face.color === null ? UNSURE : colors[face.color];
}
