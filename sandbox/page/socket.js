// The live line to the sandbox: reconnects by itself, waiting longer each time.

const FIRST_WAIT_MS = 300;
const LONGEST_WAIT_MS = 8000;

export class Socket {
  #socket = null;
  #wait = FIRST_WAIT_MS;
  #timer = 0;
  #closed = false;

  /** `hear(event, data)` for each event; `changed(up)` when the line comes (again) or goes. */
  constructor(user, { hear, changed }) {
    this.#open(`${location.origin.replace(/^http/, "ws")}/sandbox/ws?user=${user}`, hear, changed);
  }

  #open(url, hear, changed) {
    const socket = new WebSocket(url);
    this.#socket = socket;
    socket.onopen = () => {
      this.#wait = FIRST_WAIT_MS;
      changed(true);
    };
    socket.onmessage = ({ data }) => {
      const event = JSON.parse(data);
      hear(event.t, event.d);
    };
    socket.onclose = () => {
      if (this.#closed) return;
      changed(false);
      this.#timer = setTimeout(() => this.#open(url, hear, changed), this.#wait * (0.75 + Math.random() / 2));
      this.#wait = Math.min(this.#wait * 2, LONGEST_WAIT_MS);
    };
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#socket.onmessage = null;
    this.#socket.close();
  }
}
