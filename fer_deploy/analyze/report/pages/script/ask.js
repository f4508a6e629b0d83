// Ask: the label of an event that has just ended, in a line below the video.

class Ask {
  constructor(form, input) {
    Object.assign(this, { form, input });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const label = input.value.trim();
      if (label && label !== this.mark.label) marks.edit(this.mark, { label });
      this.close();
    });
    input.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.close();
    });
    // An undo makes other objects, and takes the event away.
    marks.addEventListener("change", () => {
      if (this.mark && !marks.events.includes(this.mark)) this.close();
    });
  }

  about(mark) {
    this.mark = mark;
    this.form.hidden = false;
    this.input.value = mark.label;
    this.input.select();
    this.input.focus({ preventScroll: true });
  }

  close() {
    this.mark = null;
    this.form.hidden = true;
    this.input.blur();
    lists.forEach((list) => list.draw());
  }
}
