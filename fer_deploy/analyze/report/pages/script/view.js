// View: the stretch of the video that all curves show, and the moment of the cursor.

class View extends EventTarget {
  start = BEGIN_S;
  end = END_S;
  cursor = BEGIN_S;

  get span() {
    return this.end - this.start;
  }

  get isWhole() {
    return this.span >= WHOLE_S;
  }

  get least() {
    return Math.min(WHOLE_S, Math.max(4 * BIN_S, 0.2));
  }

  show(start, end) {
    const span = clamp(end - start, this.least, WHOLE_S);
    this.start = clamp((start + end - span) / 2, BEGIN_S, END_S - span);
    this.end = this.start + span;
    this.dispatchEvent(new Event("range"));
  }

  showAll() {
    this.show(BEGIN_S, END_S);
  }

  // Around the cursor if it is in sight.
  zoom(factor) {
    const isInSight = this.cursor >= this.start && this.cursor <= this.end;
    const fixed = isInSight ? this.cursor : (this.start + this.end) / 2;
    const span = clamp(this.span * factor, this.least, WHOLE_S);
    const start = fixed - ((fixed - this.start) / this.span) * span;
    const inside = clamp(start, BEGIN_S, END_S - span);
    this.show(inside, inside + span);
  }

  moveTo(seconds) {
    this.cursor = clamp(seconds, BEGIN_S, END_S);
    if (this.cursor < this.start || this.cursor > this.end) {
      const start = clamp(this.cursor - 0.1 * this.span, BEGIN_S, END_S - this.span);
      this.show(start, start + this.span);
    }
    this.dispatchEvent(new Event("cursor"));
  }

  shareOf(seconds) {
    return (seconds - this.start) / this.span;
  }

  timeAt(share) {
    return this.start + clamp(share, 0, 1) * this.span;
  }
}

const view = new View();
