// What the person sets off, and what comes back for it, matched by nonce.

import { post } from "./api.js";

export const COMMAND = 2;
export const COMPONENT = 3;
export const AUTOCOMPLETE = 4;
export const MODAL_SUBMIT = 5;

const NO_ANSWER = "The application did not respond";
const PATIENCE_MS = 8000;

export class Interactions {
  #user;
  #waiting = new Map();
  #count = 0;

  /** `openModal(modal, origin)` is called with the modal and the `data` of the interaction that brought it. */
  constructor(user, openModal) {
    this.#user = user;
    this.openModal = openModal;
  }

  /** Resolves with the event that settles it ({choices} for autocomplete); rejects with what to tell the person. */
  send(type, channel, data) {
    const nonce = `${Date.now().toString(36)}.${(this.#count += 1)}`;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#take(nonce)?.reject(new Error(NO_ANSWER)), PATIENCE_MS);
      this.#waiting.set(nonce, { resolve, reject, timer, channel, data });
      post("/sandbox/interactions", { user: this.#user, channel_id: channel, type, nonce, data }).catch((error) =>
        this.#take(nonce)?.reject(error),
      );
    });
  }

  /** Settle what an event of the socket is the answer to. */
  hear(event, result) {
    const waiting = this.#take(result.nonce);
    if (!waiting) return;
    if (event === "INTERACTION_RESULT" && result.state === "failed") {
      waiting.reject(new Error(result.message ?? NO_ANSWER));
      return;
    }
    if (event === "MODAL") this.openModal(result.modal, waiting);
    waiting.resolve(result);
  }

  #take(nonce) {
    const waiting = this.#waiting.get(nonce);
    this.#waiting.delete(nonce);
    clearTimeout(waiting?.timer);
    return waiting;
  }
}
