// A card for each person seen recently. The number of cards and their memory are limited: a page may be open for weeks.

import { Chart } from "./chart.js";

const MAX_CARDS = 12;
const GONE_MS = 1500, FORGET_MS = 10000;
const WORDS_MS = 250, CHART_MS = 66;

export class People {
  constructor({ list, nobody, more }) {
    Object.assign(this, { list, nobody, more });
    this.cards = new Map(); // by track number, in order of appearance
    this.numMore = 0;
    this.drawnMs = 0;
    const draw = (ms) => {
      requestAnimationFrame(draw);
      if (ms - this.drawnMs >= CHART_MS) this.#draw((this.drawnMs = ms));
    };
    requestAnimationFrame(draw);
    setInterval(() => this.#forget(performance.now()), 500);
  }

  describe(labels, colors) {
    Object.assign(this, { labels, colors });
  }

  update(faces) {
    const ms = performance.now();
    this.numMore = 0;
    for (const face of faces) {
      let card = this.cards.get(face.id);
      if (!card && this.cards.size >= MAX_CARDS) this.#dropGone();
      if (!card && this.cards.size < MAX_CARDS) {
        card = new Card(face.id, this.labels, this.colors);
        this.cards.set(face.id, card);
        this.list.append(card.element);
      }
      if (card) card.update(face, ms);
      else this.numMore += 1;
    }
    this.#count();
  }

  clear() {
    for (const id of [...this.cards.keys()]) this.#remove(id);
    this.numMore = 0;
    this.#count();
  }

  #draw(ms) {
    for (const card of this.cards.values()) card.draw(ms);
  }

  #forget(ms) {
    for (const [id, card] of this.cards) {
      card.fade(ms);
      if (ms - card.seenMs > FORGET_MS) this.#remove(id);
    }
    this.#count();
  }

  #dropGone() {
    for (const [id, card] of this.cards) if (card.isGone) return this.#remove(id);
  }

  #remove(id) {
    this.cards.get(id).element.remove();
    this.cards.delete(id);
  }

  #count() {
    this.nobody.hidden = this.cards.size > 0;
    this.more.hidden = this.numMore === 0;
    this.more.textContent = `and ${this.numMore} more`;
  }
}

class Card {
  constructor(id, labels, colors) {
    this.id = id;
    this.labels = labels;
    this.colors = colors;
    this.wordsMs = 0;
    this.isGone = false;
    this.element = element("article", "card");
    this.element.dataset.track = id;
    this.swatch = element("span", "swatch");
    this.label = element("span", "label");
    this.confidence = element("span", "confidence");
    this.who = element("span", "who");
    this.flags = element("p", "flags");
    const heading = element("h3");
    heading.append(this.swatch, this.label, this.confidence, this.who);
    const canvas = element("canvas", "chart");
    canvas.role = "img";
    this.canvas = canvas;
    this.#name(null);
    this.chart = new Chart(canvas, colors);
    const list = element("ul", "probs");
    this.rows = labels.map((label, index) => {
      const row = element("li"), swatch = element("span", "swatch"), percent = element("span", "percent");
      swatch.style.backgroundColor = colors[index];
      row.append(swatch, element("span", "", label), percent);
      list.append(row);
      return { row, percent };
    });
    this.element.append(heading, this.flags, canvas, list);
  }

  update(face, ms) {
    this.seenMs = ms;
    if (face.person !== this.person) this.#name(face.person);
    this.chart.add(ms, face.readable ? face.probs : null);
    this.fade(ms);
    if (ms - this.wordsMs < WORDS_MS) return; // numbers that change fifteen times a second are unreadable
    this.wordsMs = ms;
    this.label.textContent = face.label;
    this.confidence.textContent = face.readable ? percentOf(face.confidence) : "";
    this.flags.textContent = face.flags.map((flag) => flag.toLowerCase().replaceAll("_", " ")).join(", ");
    this.swatch.classList.toggle("unreadable", !face.readable);
    this.swatch.style.backgroundColor = face.color === null ? "" : this.colors[face.color];
    face.probs.forEach((prob, index) => {
      this.rows[index].percent.textContent = percentOf(prob);
      this.rows[index].row.classList.toggle("top", index === face.color);
    });
  }

  fade(ms) {
    const seconds = Math.round((ms - this.seenMs) / 1000);
    this.isGone = ms - this.seenMs > GONE_MS;
    this.element.classList.toggle("gone", this.isGone);
    this.who.textContent = this.isGone ? `${this.name}, seen ${seconds} s ago` : this.name;
  }

  // A face gets its number when it has been followed for a second.
  #name(person) {
    this.person = person;
    this.name = person === null ? "new face" : `person ${person}`;
    this.canvas.ariaLabel = `Emotions of ${this.name} over the last 30 seconds, as shares of 100 %; the numbers follow`;
  }

  draw(ms) {
    this.chart.draw(ms);
  }
}

function percentOf(share) {
  return `${Math.round(share * 100)} %`;
}

function element(tag, className = "", text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}
