// The WebSocket: passes messages on, and reconnects until the server is back.

const SILENT_MS = 5000; // the server sends a status every second
const ANSWER_MS = 3000;
const FIRST_WAIT_MS = 500, LONGEST_WAIT_MS = 5000;

export class Connection {
  // onMessage(object), onPicture(ArrayBuffer), onState("open" or "lost", reason)
  constructor({ onMessage, onPicture, onState }) {
    Object.assign(this, { onMessage, onPicture, onState });
    this.source = 0;
    this.waitMs = FIRST_WAIT_MS;
    this.retry = null;
    for (const name of ["online", "pageshow"]) addEventListener(name, () => this.#retryNow());
    document.addEventListener("visibilitychange", () => document.hidden || this.#retryNow());
    setInterval(() => this.#watch(), 1000);
    this.#open();
  }

  choose(source) {
    this.source = source;
    this.#send({ source });
  }

  wantPicture() {
    this.#send({ ready: true });
  }

  #send(message) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  #open() {
    clearTimeout(this.retry);
    this.retry = null;
    const address = new URL("live", location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.heardMs = performance.now();
    socket.onopen = () => {
      this.onState("open", "");
      if (this.source) this.choose(this.source);
    };
    socket.onmessage = ({ data }) => {
      if (socket !== this.socket) return; // an old socket that is still closing
      this.heardMs = performance.now();
      this.waitMs = FIRST_WAIT_MS; // not in onopen: a full server opens the socket and closes it
      if (data instanceof ArrayBuffer) this.onPicture(data);
      else this.onMessage(JSON.parse(data));
    };
    socket.onclose = (event) => socket === this.socket && this.#lost(event.reason);
  }

  #watch() {
    const isSilent = performance.now() - this.heardMs > SILENT_MS;
    if (this.retry || !isSilent) return;
    const socket = this.socket;
    this.#lost("nothing heard for a while"); // a lost network closes no socket
    socket.close();
  }

  async #lost(reason) {
    this.socket = { readyState: WebSocket.CLOSED, close() {} };
    this.retry = setTimeout(() => this.#open(), this.waitMs);
    this.waitMs = Math.min(this.waitMs * 1.6, LONGEST_WAIT_MS);
    this.onState("lost", reason);
    const signal = AbortSignal.timeout(ANSWER_MS);
    const answer = await fetch("/", { method: "HEAD", signal }).catch(() => null); // a failed handshake gives no reason
    if (answer?.status === 401 && this.retry) {
      this.onState("lost", "the token has changed: open the address that fer-deploy live printed");
    }
  }

  #retryNow() {
    if (this.retry) this.#open();
  }
}
