// What the page knows: the analysis, from the JSON in the page, and small functions for elements and times.

const DATA = JSON.parse(document.getElementById("data").textContent);
const NUM_SHARES = DATA.labels.length + 1; // the last one is unreadable
const BEGIN_S = DATA.start, END_S = DATA.duration, WHOLE_S = END_S - BEGIN_S; // what was analyzed of the video
const BIN_S = WHOLE_S / DATA.bins;

const byId = (id) => document.getElementById(id);

function make(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

class Person {
  constructor({ number, name, runs, shares, flags, picture, picture_s }) {
    Object.assign(this, { picture, pictureS: picture_s });
    this.number = number;
    this.title = name || `Person ${number}`;
    this.csvName = name || String(number);
    this.shares = bytesOf(shares);
    this.flags = bytesOf(flags);
    this.place = new Int32Array(DATA.bins).fill(-1); // of each bin in shares and flags; -1: not visible
    let next = 0;
    for (const [first, num] of runs) for (let bin = first; bin < first + num; bin++) this.place[bin] = next++;
  }

  // The mean shares and all flags of the bins from first up to, without, end; null where the person is not visible.
  over(first, end) {
    const sums = new Array(NUM_SHARES).fill(0);
    let num = 0, flags = 0, numUnsure = 0;
    for (let bin = first; bin < end; bin++) {
      const place = this.place[bin];
      if (place < 0) continue;
      for (let label = 0; label < NUM_SHARES; label++) sums[label] += this.shares[place * NUM_SHARES + label];
      flags |= this.flags[2 * place] | ((this.flags[2 * place + 1] & 0x7f) << 8);
      numUnsure += this.flags[2 * place + 1] >> 7;
      num += 1;
    }
    if (!num) return null;
    const total = sums.reduce((sum, share) => sum + share, 0) || 1; // the bytes are rounded
    return { shares: sums.map((sum) => sum / total), flags, isUnsure: 2 * numUnsure >= num };
  }

  at(seconds) {
    const bin = binAt(seconds);
    return this.over(bin, bin + 1);
  }

  // As `at`, with shares on a straight line between the centers of two visible bins.
  between(seconds) {
    const place = (seconds - BEGIN_S) / BIN_S - 0.5, first = Math.floor(place), weight = place - first;
    const here = this.at(seconds);
    if (!here || first < 0 || first + 1 >= DATA.bins) return here;
    const [before, after] = [this.over(first, first + 1), this.over(first + 1, first + 2)];
    if (!before || !after) return here;
    return { ...here, shares: before.shares.map((share, label) => share + weight * (after.shares[label] - share)) };
  }
}

const PEOPLE = DATA.people.map((person) => new Person(person));

function binAt(seconds) {
  return Math.min(DATA.bins - 1, Math.max(0, Math.floor((seconds - BEGIN_S) / BIN_S + 1e-9)));
}

// The first bin of a stretch, and the one after its last.
function binsOf(start, end) {
  const first = binAt(start);
  return [first, Math.max(first + 1, binAt(end))];
}

function flagNames(flags) {
  return DATA.flags.filter((_, bit) => flags & (1 << bit));
}

function clamp(value, low, high) {
  return Math.min(high, Math.max(low, value));
}

// 75.25 as 1:15.25, 3675 as 1:01:15.00
function clockText(seconds, decimals = 2) {
  const units = Math.round(Math.max(0, seconds) * 10 ** decimals), perMinute = 60 * 10 ** decimals;
  const minutes = Math.floor(units / perMinute), rest = (units % perMinute) / 10 ** decimals;
  const end = rest.toFixed(decimals).padStart(decimals ? decimals + 3 : 2, "0");
  if (minutes < 60) return `${minutes}:${end}`;
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${end}`;
}

// Seconds from 62.5, 62,5, 1:02.5 or 0:01:02.5; null for any other text.
function secondsFrom(text) {
  const found = /^(?:(?:(\d{1,4}):)?(\d{1,4}):)?(\d+(?:[.,]\d+)?)$/.exec(text.trim());
  if (!found) return null;
  const seconds = Number(found[3].replace(",", ".")), minutes = Number(found[2] ?? 0);
  if ((found[2] && seconds >= 60) || (found[1] && minutes >= 60)) return null;
  return Number(found[1] ?? 0) * 3600 + minutes * 60 + seconds;
}

function say(text, isWrong = false) {
  byId("said").textContent = text;
  byId("said").classList.toggle("wrong", isWrong);
}
