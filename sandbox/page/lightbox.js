// One picture, as large as the window allows.

import { el, icon } from "./dom.js";

export class Lightbox {
  constructor() {
    this.node = el("dialog", { class: "lightbox", "aria-label": "Picture", onclick: () => this.node.close() });
  }

  show(src, alt) {
    const close = el("button", { class: "round", type: "button", "aria-label": "Close picture" }, icon("close"));
    const original = el("a", { href: src, target: "_blank", rel: "noopener noreferrer" }, "Open original");
    this.node.replaceChildren(close, el("img", { src, alt }), original);
    this.node.showModal();
  }
}
