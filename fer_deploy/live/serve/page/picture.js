// The newest picture, with the boxes of the same frame drawn over it.

const MAX_CANVAS_PX = 1920;
const INK = "#141414", UNSURE = "#8f8f94";

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
    const names = result.faces.map((face) => `person ${face.id}: ${face.label}`);
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
    for (const face of result.faces) this.#drawFace(face, face.color === null ? UNSURE : colors[face.color], scale, unit);
  }

  // scale: canvas pixels per frame pixel; unit: canvas pixels per CSS pixel
  #drawFace(face, color, scale, unit) {
    const { context } = this;
    const [x1, y1, x2, y2] = face.box.map((value) => value * scale);
    context.strokeStyle = color;
    context.lineWidth = 2.5 * unit;
    context.setLineDash(face.detected ? [] : [6 * unit, 5 * unit]); // dashed if predicted
    context.strokeRect(x1, y1, x2 - x1, y2 - y1);
    context.font = `600 ${13 * unit}px system-ui, sans-serif`;
    const text = `#${face.id} ${face.label} ${Math.round(face.confidence * 100)} %`;
    const pad = 5 * unit, bar = 20 * unit, textWidth = context.measureText(text).width + 2 * pad;
    const left = Math.max(0, Math.min(x1 - context.lineWidth / 2, this.canvas.width - textWidth));
    const top = y1 >= bar ? y1 - bar : y1; // inside the box if there is no room above it
    context.fillStyle = color;
    context.fillRect(left, top, textWidth, bar);
    context.fillStyle = INK;
    context.textBaseline = "middle";
    context.fillText(text, left + pad, top + bar / 2);
  }
}
