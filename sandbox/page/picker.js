// The list above the composer: commands, options or values. The input keeps the focus; it is told what is active.

import { dots, el } from "./dom.js";

export class Picker {
  #items = [];
  #active = -1;
  #input = null;
  #moved = false;

  constructor() {
    this.title = el("div", { class: "picker-title" });
    this.list = el("div", { id: "picker", class: "picker-list", role: "listbox", "aria-label": "Suggestions" });
    this.node = el("div", { class: "picker", hidden: true, "data-testid": "picker" }, this.title, this.list);
    // The input must keep the focus while an item is pressed.
    this.node.addEventListener("pointerdown", (event) => event.preventDefault());
    this.node.addEventListener("mousedown", (event) => event.preventDefault());
  }

  get isOpen() {
    return !this.node.hidden;
  }

  get active() {
    return this.isOpen ? this.#items[this.#active] : undefined;
  }

  get items() {
    return this.isOpen ? this.#items : [];
  }

  /** Whether the person has moved to the active item, rather than it being the first. */
  get wasMoved() {
    return this.#moved;
  }

  /** Offer items {label, detail, aside, face, pick()} for an input; `first` false leaves none active. */
  open(input, { title, items, empty = "", first = true }) {
    if (!items.length && !empty) {
      this.close();
      return;
    }
    this.#input = input;
    this.#items = items;
    this.#moved = false;
    this.title.replaceChildren(title);
    this.list.replaceChildren(...items.map((item, index) => this.#row(item, index)));
    if (!items.length) this.list.append(el("p", { class: "picker-empty" }, empty));
    this.node.hidden = false;
    input.setAttribute("aria-expanded", "true");
    this.#activate(first && items.length ? 0 : -1);
  }

  wait(input, title) {
    this.open(input, { title, items: [], empty: "Loading options…" });
    this.list.append(dots());
  }

  close() {
    this.node.hidden = true;
    this.#items = [];
    this.#input?.setAttribute("aria-expanded", "false");
    this.#input?.removeAttribute("aria-activedescendant");
  }

  move(step) {
    if (!this.#items.length) return;
    this.#moved = true;
    const from = this.#active === -1 && step < 0 ? 0 : this.#active;
    this.#activate((from + step + this.#items.length) % this.#items.length);
  }

  #row(item, index) {
    return el(
      "div",
      {
        class: "picker-item",
        role: "option",
        id: `picker-${index}`,
        "aria-selected": "false",
        onclick: () => item.pick(),
        onpointermove: () => index === this.#active || this.#activate(index, false),
      },
      item.face,
      el(
        "span",
        { class: "picker-words" },
        el("span", { class: "picker-label" }, item.label),
        item.detail && el("span", { class: "picker-detail" }, item.detail),
      ),
      item.aside && el("span", { class: "picker-aside" }, item.aside),
    );
  }

  #activate(index, scroll = true) {
    this.#active = index;
    [...this.list.children].forEach((row, at) => row.setAttribute("aria-selected", String(at === index)));
    if (index === -1) {
      this.#input.removeAttribute("aria-activedescendant");
      return;
    }
    this.#input.setAttribute("aria-activedescendant", `picker-${index}`);
    if (scroll) this.list.children[index].scrollIntoView({ block: "nearest" });
  }
}
