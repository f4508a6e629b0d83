// Lists of events and of excluded ranges, whose cells can be edited.

class MarksList {
  constructor(table, kind, player) {
    Object.assign(this, { table, kind, player });
    marks.addEventListener("change", ({ detail }) => detail.areSame || this.draw());
    this.draw();
  }

  draw() {
    const found = [...marks[this.kind]].sort((one, other) => one.start - other.start);
    const last = this.kind === "events" ? "label" : "person";
    const header = make("tr", {}, ...["start", "end", last, ""].map((name) => make("th", { textContent: name })));
    this.table.hidden = found.length === 0;
    this.table.parentElement.nextElementSibling.hidden = found.length > 0; // how to make one
    this.table.replaceChildren(header, ...found.map((mark) => this.#row(mark)));
  }

  #row(mark) {
    const what = ONE_OF[this.kind];
    const go = make("button", { type: "button", textContent: "Go", ariaLabel: `go to this ${what}` });
    const drop = make("button", { type: "button", textContent: "×", ariaLabel: `remove this ${what}` });
    go.addEventListener("click", () => this.player.seek(mark.start));
    drop.addEventListener("click", () => marks.remove(this.kind, mark));
    const cells = [this.#time(mark, "start"), this.#time(mark, "end"), this.#about(mark), [go, " ", drop]];
    return make("tr", {}, ...cells.map((cell) => make("td", {}, ...[cell].flat())));
  }

  #time(mark, name) {
    const input = make("input", { value: clockText(mark[name], 3), inputMode: "decimal", ariaLabel: name });
    input.addEventListener("change", () => {
      const seconds = secondsFrom(input.value);
      const times = { ...mark, [name]: seconds };
      const fault = seconds === null ? "expected seconds (62.5) or a clock time (1:02.5)"
        : times.end <= times.start ? "the end must be after the start"
        : times.start >= END_S && !DATA.cut ? `the video ends at ${clockText(END_S)}` : "";
      input.toggleAttribute("aria-invalid", Boolean(fault));
      say(fault && `${input.value}: ${fault}`, Boolean(fault));
      if (!fault) marks.edit(mark, { [name]: rounded(seconds) });
    });
    return input;
  }

  #about(mark) {
    if (this.kind === "exclusions") return this.#person(mark);
    const input = make("input", { value: mark.label, maxLength: 200, ariaLabel: "label" });
    input.addEventListener("change", () => {
      const label = input.value.trim();
      input.toggleAttribute("aria-invalid", !label);
      say(label ? "" : "An event needs a label.", !label);
      if (label) marks.edit(mark, { label });
    });
    return input;
  }

  #person(mark) {
    const select = make("select", { ariaLabel: "whose faces are excluded" }, new Option("everyone", ""));
    select.append(...PEOPLE.map((person) => new Option(person.title, person.csvName)));
    if (mark.person && !PEOPLE.some((person) => person.csvName === mark.person)) select.append(new Option(mark.person));
    select.value = mark.person;
    select.addEventListener("change", () => marks.edit(mark, { person: select.value }));
    return select;
  }
}
