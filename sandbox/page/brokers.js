// The part of the world panel that shows who has linked which broker, and lets the broker end it.

import { get, post } from "./api.js";
import { el } from "./dom.js";

const NAMES = { alpaca: "Alpaca", tradier: "Tradier" };

export class Brokers {
  /** `trying(act)` runs what may fail, and says why it did. */
  constructor(trying) {
    this.list = el("ul", { class: "links", "aria-label": "Linked accounts" });
    this.trying = trying;
    this.node = el(
      "details",
      { class: "faults" },
      el("summary", {}, "Brokers"),
      el("p", { class: "faint" }, "Who has linked an account. End it here as the broker would."),
      this.list,
    );
    this.node.addEventListener("toggle", () => this.node.open && trying(() => this.refresh()));
  }

  async refresh() {
    if (this.node.open) this.#show(await get("/sandbox/brokers"));
  }

  #end(order) {
    return this.trying(async () => this.#show(await post("/sandbox/brokers/end", order)));
  }

  #show(links) {
    // Rows are kept while nothing has changed, so that a button does not go away under the finger.
    const seen = JSON.stringify(links);
    if (seen === this.list.dataset.seen) return;
    this.list.dataset.seen = seen;
    const rows = links.map((link) => this.#row(link));
    this.list.replaceChildren(...(rows.length ? rows : [el("li", { class: "faint" }, "Nobody yet: type /link.")]));
  }

  #row({ broker, person, name, account, mode, state }) {
    const title = `${name}, ${NAMES[broker]} ${account}`;
    const end = (to, label) =>
      el(
        "button",
        {
          class: "chip",
          type: "button",
          "aria-label": `${label} the tokens of ${title}`,
          onclick: () => this.#end({ broker, person, state: to }),
        },
        label,
      );
    const what = state === "valid" ? mode : `${mode} · ${state}`;
    return el(
      "li",
      {},
      el("span", { class: "symbol-name" }, el("strong", {}, title), el("span", { class: "faint" }, what)),
      state === "valid" && el("div", { class: "chips" }, end("revoked", "Revoke"), end("expired", "Expire")),
    );
  }
}
