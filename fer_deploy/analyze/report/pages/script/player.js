// Player: the video beside the page, or a file that the user chooses. Without one the cursor moves alone.

const NOT_PLAYED = `${decodeURIComponent(DATA.sources[0] ?? "").replace(/^.*\//, "")} is not here, or not for this browser.`;
const BEHIND_A_BORDER_S = 0.001; // so that a frame's own time does not show the frame before

class Player {
  constructor(video) {
    this.video = video;
    this.isReady = false;
    this.asked = null; // seconds that a seek has asked for
    this.sources = [...DATA.sources];
    this.shiftS = 0; // where the shown file begins, in seconds of the recording
    video.addEventListener("loadedmetadata", () => this.#ready());
    video.addEventListener("error", () => this.#next());
    video.addEventListener("seeked", () => this.#follow());
    video.addEventListener("timeupdate", () => this.#follow());
    video.addEventListener("play", () => this.#run());
    for (const kind of ["play", "pause"]) video.addEventListener(kind, () => this.#showState());
    this.#next();
  }

  open(file) {
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = URL.createObjectURL(file);
    this.sources = [];
    this.shiftS = file.name === DATA.shifted ? BEGIN_S : 0;
    this.chosen = file.name;
    this.video.src = this.url;
  }

  seek(seconds) {
    view.moveTo(seconds);
    if (!this.isReady) return;
    this.asked = view.cursor;
    if (!this.video.seeking) this.#go();
  }

  step(frames) {
    this.video.pause();
    const frame = Math.floor(view.cursor * DATA.fps + 0.05);
    this.seek((frame + frames) / DATA.fps);
  }

  setSpeed(times) {
    this.video.defaultPlaybackRate = this.video.playbackRate = times;
  }

  toggle() {
    if (!this.isReady) say("There is no video to play. Choose one above.");
    else if (!this.video.paused) this.video.pause();
    else this.video.play().catch((reason) => say(`The video does not play: ${reason.message}`, true));
  }

  #go() {
    this.going = this.asked;
    this.video.currentTime = Math.min(this.asked - this.shiftS + BEHIND_A_BORDER_S, this.video.duration || Infinity);
  }

  #follow() {
    if (this.asked !== null && this.asked !== this.going && !this.video.seeking) return this.#go();
    const seconds = this.shiftS + this.video.currentTime;
    if (this.asked !== null && Math.abs(seconds - this.asked) < 0.01 && this.video.paused) return;
    if (this.video.seeking) return;
    this.asked = null;
    view.moveTo(seconds);
  }

  #run() {
    const follow = () => {
      if (this.video.paused || this.video.ended) return;
      if (!this.video.seeking) view.moveTo(this.shiftS + this.video.currentTime);
      requestAnimationFrame(follow);
    };
    this.asked = null;
    requestAnimationFrame(follow);
  }

  #ready() {
    this.isReady = true;
    this.video.hidden = false;
    byId("pick").hidden = true;
    const lasts = this.shiftS + this.video.duration, apart = lasts - END_S;
    const isOther = DATA.cut ? apart < -Math.max(1, 0.02 * END_S) : Math.abs(apart) > Math.max(1, 0.02 * END_S);
    if (Number.isFinite(lasts) && isOther) {
      say(`This video lasts ${clockText(lasts)}, the analysis ${clockText(END_S)}: is it the right one?`, true);
    }
    this.seek(view.cursor);
  }

  #next() {
    const source = this.sources.shift();
    if (source) {
      this.shiftS = source === DATA.shifted ? BEGIN_S : 0;
      this.video.src = source;
      return;
    }
    this.isReady = false;
    this.video.hidden = true;
    byId("pick").hidden = false;
    if (this.chosen) say(`This browser cannot play ${this.chosen}.`, true);
    else if (DATA.sources.length) byId("pick-words").textContent = `${NOT_PLAYED} ${byId("pick-words").textContent}`;
  }

  #showState() {
    document.querySelector("button[data-do=play]").textContent = this.video.paused ? "▶" : "❚❚";
  }
}
