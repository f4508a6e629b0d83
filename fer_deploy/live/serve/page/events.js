// Buttons that note events of the run; hidden where no events are written.

const POLL_MS = 2000;
const MARK = "mark";

export class Events {
  #box;
  #said;
  #timer;
  #buttons = new Map();

  constructor({ box, said }) {
    this.#box = box;
    this.#said = said;
  }

  // Called with each connection: another run may have other events, or none.
  async refresh() {
    clearTimeout(this.#timer);
    try {
      const answer = await fetch("events");
      if (!answer.ok) return;
      const state = await answer.json();
      this.#show(state);
      if (state.written) this.#timer = setTimeout(() => this.refresh(), POLL_MS);
    } catch {
      // The connection is lost: the page says so elsewhere, and the next connection refreshes.
    }
  }

  #show({ written, labels, open }) {
    this.#box.hidden = !written;
    for (const label of written ? [...labels, ...Object.keys(open), MARK] : []) this.#add(label);
    for (const [label, button] of this.#buttons) {
      if (label === MARK) continue;
      const isOpen = label in open;
      button.ariaPressed = String(isOpen);
      button.textContent = isOpen ? `End ${label} (${Math.floor(open[label])} s)` : `Start ${label}`;
    }
  }

  #add(label) {
    if (this.#buttons.has(label)) return;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label === MARK ? "Mark this moment" : label;
    button.addEventListener("click", () => this.#note(label, button));
    this.#buttons.set(label, button);
    this.#box.insertBefore(button, this.#said);
  }

  async #note(label, button) {
    const state = label === MARK ? "mark" : button.ariaPressed === "true" ? "end" : "start";
    const body = JSON.stringify({ label, state });
    try {
      const answer = await fetch("events", { method: "POST", headers: { "Content-Type": "application/json" }, body });
      const told = await answer.json();
      this.#said.textContent = answer.ok ? `${label}: ${Object.values(told.time_s)[0].toFixed(2)} s` : told.error;
      await this.refresh();
    } catch {
      this.#said.textContent = "not noted: the connection is lost";
    }
  }
}
