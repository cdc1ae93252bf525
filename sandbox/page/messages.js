// The messages of the open channel.

import { startOfDay } from "./clock.js";
import { el, icon } from "./dom.js";
import { isEphemeral, messageNode, pendingNode } from "./message.js";
import { byId, titleOf } from "./state.js";

const TOGETHER_MS = 7 * 60_000;
const NEAR_END_PX = 120;
const PENDING_SHOWN_AFTER_MS = 250;
const SUGGESTIONS = ["/quote symbols:SPY", "/gamma symbol:SPX", "/help"];

export class MessageLog {
  #messages = new Map();
  #dismissed = new Set();
  #atEnd = true;
  #top = 0;

  /** `run(line)` sends a command. */
  constructor(view, run) {
    Object.assign(this, { view, run });
    this.hero = el("div", { class: "hero" });
    this.list = el("div", { class: "log-list", role: "log", "aria-live": "polite", "aria-relevant": "additions" });
    this.scroller = el(
      "div",
      { class: "log", tabindex: "0", role: "region", "aria-label": "Channel", onscroll: () => this.#scrolled() },
      this.hero,
      this.list,
    );
    this.toEnd = el(
      "button",
      { class: "to-end", type: "button", hidden: true, onclick: () => this.#goToEnd() },
      "Jump to the newest message",
      icon("down"),
    );
    this.node = el("div", { class: "log-box" }, this.scroller, this.toEnd);
    // Pictures arrive and fonts settle after their messages: stay at the end while the person is there.
    const growth = new ResizeObserver(() => this.#atEnd && this.#goToEnd());
    growth.observe(this.list);
    growth.observe(this.scroller);
  }

  show(channel, messages) {
    this.list.setAttribute("aria-label", `Messages in ${titleOf(channel)}`);
    this.#messages = new Map(
      messages
        .filter(({ id }) => !this.#dismissed.has(id))
        .sort(byId)
        .map((message) => [message.id, message]),
    );
    this.hero.replaceChildren(...this.#welcome(channel));
    const nodes = [];
    let before = null;
    for (const message of this.#messages.values()) {
      nodes.push(...this.#nodes(message, before));
      before = message;
    }
    this.list.replaceChildren(...nodes);
    this.#goToEnd();
  }

  /** Show nothing until the messages of another channel or person are known. */
  clear() {
    this.#messages.clear();
    this.hero.replaceChildren();
    this.list.replaceChildren();
  }

  /** Turn a page back (-1) or on (1). */
  page(by) {
    this.scroller.scrollBy(0, by * this.scroller.clientHeight * 0.85);
  }

  /** Add a message, or show how it changed. */
  put(message) {
    if (this.#dismissed.has(message.id)) return;
    const known = this.#node(message.id);
    const isNew = !this.#messages.has(message.id);
    this.#messages.set(message.id, message);
    if (known) {
      const focus = known.contains(document.activeElement) ? document.activeElement.dataset.customId : undefined;
      const fresh = this.#nodes(message, this.#before(message.id)).at(-1);
      known.replaceWith(fresh);
      if (focus !== undefined) fresh.querySelector(`[data-custom-id="${CSS.escape(focus)}"]`)?.focus();
    } else if (isNew) {
      this.list.append(...this.#nodes(message, this.#before(message.id)));
    }
    const { me } = this.view.state;
    const mine = isNew && (message.author.id === me.id || message.interaction_metadata?.user.id === me.id);
    if (this.#atEnd || mine) this.#goToEnd();
    else if (isNew) this.toEnd.hidden = false;
  }

  drop(id) {
    const after = [...this.#messages.keys()];
    const next = after[after.indexOf(id) + 1];
    this.#messages.delete(id);
    this.#node(id)?.remove();
    if (next) this.put(this.#messages.get(next));
  }

  /** Show that a command is under way; returns how to say what became of it. */
  await(command, retry) {
    const { node, fail } = pendingNode(command, this.view);
    const timer = setTimeout(() => this.#appendPending(node), PENDING_SHOWN_AFTER_MS);
    return {
      done: () => {
        clearTimeout(timer);
        node.remove();
      },
      failed: (reason) => {
        clearTimeout(timer);
        const again = () => {
          node.remove();
          retry();
        };
        fail(reason, again, () => node.remove());
        if (!node.isConnected) this.#appendPending(node);
      },
    };
  }

  #appendPending(node) {
    this.list.append(node);
    this.#goToEnd();
  }

  #node(id) {
    return this.list.querySelector(`[data-message-id="${CSS.escape(id)}"]`);
  }

  #before(id) {
    const ids = [...this.#messages.keys()];
    return this.#messages.get(ids[ids.indexOf(id) - 1]) ?? null;
  }

  /** The message, after a divider where its day begins. */
  #nodes(message, before) {
    const moment = Date.parse(message.timestamp);
    const newDay = before && startOfDay(Date.parse(before.timestamp)) !== startOfDay(moment);
    const how = message.interaction_metadata;
    const source = how?.interacted_message_id ?? message.message_reference?.message_id;
    const grouped =
      before !== null &&
      !newDay &&
      !how &&
      before.author.id === message.author.id &&
      isEphemeral(before) === isEphemeral(message) &&
      moment - Date.parse(before.timestamp) < TOGETHER_MS;
    const node = messageNode(message, {
      grouped,
      source: this.#messages.get(source),
      view: this.view,
      dismiss: (id) => this.#dismiss(id),
    });
    if (!newDay) return [node];
    return [el("div", { class: "day", role: "separator" }, el("span", {}, this.view.clock.format(moment, "D"))), node];
  }

  #dismiss(id) {
    this.#dismissed.add(id);
    this.drop(id);
  }

  #welcome(channel) {
    const { guild } = channel;
    const about = guild
      ? `This is the start of ${titleOf(channel)} in ${guild.name}. ${channel.topic ?? ""}`
      : `This is the start of your direct messages with ${channel.name}. Only you two read them.`;
    const run = (line) =>
      el("li", {}, el("button", { class: "suggestion", type: "button", onclick: () => this.run(line) }, line));
    return [
      el("div", { class: "hero-mark" }, icon(guild ? "hash" : "pulse")),
      el("h2", {}, guild ? `Welcome to ${titleOf(channel)}` : channel.name),
      el("p", {}, about),
      el("p", { class: "faint" }, "Press one of these, or type / to see every command."),
      el("ul", { class: "suggestions", "aria-label": "Commands to try" }, SUGGESTIONS.map(run)),
    ];
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    const near = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
    // Only the person moves up; what grows below does not count as leaving the end.
    this.#atEnd = near || (this.#atEnd && scrollTop >= this.#top);
    this.#top = scrollTop;
    if (this.#atEnd) this.toEnd.hidden = true;
  }

  #goToEnd() {
    this.#atEnd = true;
    this.toEnd.hidden = true;
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }
}
