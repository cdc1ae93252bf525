// A form that the bot opens.

import { MODAL_SUBMIT } from "./interactions.js";
import { SELECTS, Select } from "./select.js";
import { avatar } from "./avatar.js";
import { dots, el, icon } from "./dom.js";
import { markdown } from "./markdown.js";

const ROW = 1;
const TEXT_INPUT = 4;
const TEXT = 10;
const LABEL = 18;
const PARAGRAPH = 2;

export class Modal {
  constructor(view) {
    this.view = view;
    this.node = el("dialog", {
      class: "modal",
      "aria-labelledby": "modal-title",
      onclick: (event) => event.target === this.node && this.node.close(),
    });
  }

  /** Open the form that answered the interaction `origin` ({channel, data}). */
  open(wire, origin) {
    const parts = wire.components.map((component, index) => part(component, `field-${index}`, this.view));
    const failure = el("p", { class: "modal-failure", role: "alert" });
    const submit = el("button", { class: "button primary", type: "submit" }, "Submit");
    const close = () => this.node.close();
    const form = el(
      "form",
      { novalidate: true },
      el(
        "header",
        {},
        avatar(this.view.state.bot, "small"),
        el("h2", { id: "modal-title" }, wire.title),
        el("button", { class: "round", type: "button", "aria-label": "Close form", onclick: close }, icon("close")),
      ),
      el(
        "div",
        { class: "modal-fields" },
        parts.map(({ node }) => node),
        failure,
      ),
      el("footer", {}, el("button", { class: "button plain", type: "button", onclick: close }, "Cancel"), submit),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit({ wire, origin, parts, failure, submit });
    });
    this.node.replaceChildren(form);
    this.node.showModal();
    form.querySelector("input, textarea, .select")?.focus();
  }

  async #submit({ wire, origin, parts, failure, submit }) {
    const wrong = parts.filter(({ check }) => !check());
    if (wrong.length) {
      wrong[0].focus();
      return;
    }
    const data = { custom_id: wire.custom_id, components: parts.map(({ value }) => value()) };
    if (origin.data.message_id) data.message_id = origin.data.message_id;
    failure.textContent = "";
    submit.disabled = true;
    submit.replaceChildren(dots());
    try {
      await this.view.interactions.send(MODAL_SUBMIT, origin.channel, data);
      this.node.close();
    } catch (error) {
      failure.textContent = `Something went wrong: ${error.message}`;
    } finally {
      submit.disabled = false;
      submit.replaceChildren("Submit");
    }
  }
}

/** {node, value(), check(), focus()} of a top-level component of a form. */
function part(wire, id, view) {
  if (wire.type === ROW) {
    const inner = field(wire.components[0], id, view, wire.components[0].label);
    return { ...inner, value: () => ({ type: ROW, id: wire.id, components: [inner.value()] }) };
  }
  if (wire.type === LABEL) {
    const inner = field(wire.component, id, view, wire.label, wire.description);
    return { ...inner, value: () => ({ type: LABEL, id: wire.id, component: inner.value() }) };
  }
  const words =
    wire.type === TEXT ? markdown(wire.content, view) : `This page cannot show component type ${wire.type}.`;
  return {
    node: el("div", {}, words),
    value: () => ({ type: wire.type, id: wire.id }),
    check: () => true,
    focus: () => {},
  };
}

function field(wire, id, view, label, description) {
  const build = wire.type === TEXT_INPUT ? textField : SELECTS.has(wire.type) ? selectField : null;
  if (!build)
    return {
      node: el("p", {}, `This page cannot show component type ${wire.type}.`),
      value: () => wire,
      check: () => true,
      focus: () => {},
    };
  return build(wire, id, view, label, description);
}

function frame({ id, label, description, required, control, error, count }) {
  const mark = required ? el("span", { class: "required", "aria-hidden": "true" }, " *") : null;
  return el(
    "div",
    { class: "field" },
    el("label", { for: id, id: `${id}-label` }, label, mark),
    description && el("p", { class: "faint", id: `${id}-description` }, description),
    control,
    el("div", { class: "field-foot" }, error, count),
  );
}

function textField(wire, id, _view, label, description) {
  const { required = true, min_length: least = required ? 1 : 0, max_length: most = 4000 } = wire;
  const long = wire.style === PARAGRAPH;
  const error = el("span", { class: "field-error", id: `${id}-error`, role: "alert" });
  const count = el("span", { class: "faint", "aria-hidden": "true" });
  const input = el(long ? "textarea" : "input", {
    id,
    type: long ? undefined : "text",
    rows: long ? 4 : undefined,
    maxlength: most,
    placeholder: wire.placeholder,
    autocomplete: "off",
    "aria-required": String(required),
    "aria-describedby": `${id}-error${description ? ` ${id}-description` : ""}`,
  });
  input.value = wire.value ?? "";
  const tally = () => {
    count.textContent = wire.max_length ? `${input.value.length}/${most}` : "";
  };
  const check = () => {
    const size = input.value.length;
    const empty = required && !input.value.trim();
    const short = !empty && size < least && (size > 0 || required);
    error.textContent = empty ? "This field is required" : short ? `At least ${least} characters, please` : "";
    input.setAttribute("aria-invalid", String(empty || short));
    return !empty && !short;
  };
  input.addEventListener("input", () => {
    tally();
    if (error.textContent) check();
  });
  tally();
  const value = () => ({ type: TEXT_INPUT, id: wire.id, custom_id: wire.custom_id, value: input.value });
  return {
    node: frame({ id, label, description, required, control: input, error, count }),
    value,
    check,
    focus: () => input.focus(),
  };
}

function selectField(wire, id, view, label, description) {
  const required = wire.required ?? true;
  const menu = new Select(wire, view);
  menu.button.id = id;
  const error = el("span", { class: "field-error", role: "alert" });
  const check = () => {
    error.textContent = menu.missing ? "Make a selection" : "";
    return !menu.missing;
  };
  const value = () => ({ type: wire.type, id: wire.id, custom_id: wire.custom_id, values: menu.values });
  return {
    node: frame({ id, label, description, required, control: menu.node, error }),
    value,
    check,
    focus: () => menu.button.focus(),
  };
}
