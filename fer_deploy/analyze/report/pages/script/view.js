// View: the stretch of the video that all curves show, and the moment of the cursor.

class View extends EventTarget {
  start = 0;
  end = DATA.duration;
  cursor = 0;

  get span() {
    return this.end - this.start;
  }

  get isWhole() {
    return this.span >= DATA.duration;
  }

  get least() {
    return Math.min(DATA.duration, Math.max(4 * BIN_S, 0.2));
  }

  show(start, end) {
    const span = clamp(end - start, this.least, DATA.duration);
    this.start = clamp((start + end - span) / 2, 0, DATA.duration - span);
    this.end = this.start + span;
    this.dispatchEvent(new Event("range"));
  }

  showAll() {
    this.show(0, DATA.duration);
  }

  // Around the cursor if it is in sight.
  zoom(factor) {
    const isInSight = this.cursor >= this.start && this.cursor <= this.end;
    const fixed = isInSight ? this.cursor : (this.start + this.end) / 2;
    const span = clamp(this.span * factor, this.least, DATA.duration);
    const start = fixed - ((fixed - this.start) / this.span) * span;
    const inside = clamp(start, 0, DATA.duration - span);
    this.show(inside, inside + span);
  }

  moveTo(seconds) {
    this.cursor = clamp(seconds, 0, DATA.duration);
    if (this.cursor < this.start || this.cursor > this.end) {
      const start = clamp(this.cursor - 0.1 * this.span, 0, DATA.duration - this.span);
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
