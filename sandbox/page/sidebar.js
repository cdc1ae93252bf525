// The left side: servers, channels, and who one is.

import { avatar } from "./avatar.js";
import { el, icon, openBeside } from "./dom.js";
import { nameOf } from "./state.js";

export class Sidebar {
  #unread = new Map();

  /** `become(id)` speaks as another person. */
  constructor(view, become) {
    Object.assign(this, { view, become });
    this.rail = el("nav", { class: "rail", "aria-label": "Servers" });
    this.title = el("header", { class: "side-title" });
    this.lists = el("nav", { class: "channels", "aria-label": "Channels" });
    this.people = el("div", { class: "people", role: "menu", "aria-label": "Speak as", popover: "auto", id: "people" });
    this.me = el("div", { class: "me" });
    this.node = el(
      "aside",
      { class: "side", id: "side", "aria-label": "Channels and people" },
      this.rail,
      el("div", { class: "side-main" }, this.title, this.lists, this.me),
      this.people,
    );
    this.people.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Draw everything afresh. */
  show() {
    const { state, channel } = this.view;
    this.#unread.delete(channel.id);
    const [guild] = state.guilds;
    this.title.textContent = channel.guild?.name ?? guild?.name ?? state.application.name;
    this.#drawRail();
    this.lists.replaceChildren(
      ...state.guilds.map((one) =>
        this.#group(
          "Text channels",
          state.channels.filter((entry) => entry.guild?.id === one.id),
        ),
      ),
      this.#group(
        "Direct messages",
        state.channels.filter((entry) => !entry.guild),
      ),
    );
    this.#drawMe();
  }

  /** Something was written in a channel that is not open. */
  notice(channelId) {
    this.#unread.set(channelId, (this.#unread.get(channelId) ?? 0) + 1);
    this.show();
  }

  #drawRail() {
    const { state, channel } = this.view;
    const home =
      state.dm &&
      this.#railButton(`Direct messages with ${nameOf(state.bot)}`, icon("pulse"), !channel.guild, state.dm.id);
    const guilds = state.guilds.map((guild) => {
      const initials = guild.name
        .split(/\s+/)
        .slice(0, 3)
        .map((word) => word[0])
        .join("");
      return this.#railButton(guild.name, initials, channel.guild?.id === guild.id, guild.channels[0]?.id);
    });
    this.rail.replaceChildren(...[home, el("hr"), ...guilds].filter(Boolean));
  }

  #railButton(label, face, current, channelId) {
    return el(
      "button",
      {
        class: "server",
        type: "button",
        "aria-label": label,
        title: label,
        "aria-current": current ? "true" : null,
        onclick: () => this.view.openChannel(channelId),
      },
      face,
    );
  }

  #group(title, channels) {
    return el(
      "section",
      {},
      el("h2", {}, title),
      el(
        "ul",
        {},
        channels.map((channel) => el("li", {}, this.#channel(channel))),
      ),
    );
  }

  #channel(channel) {
    const unread = this.#unread.get(channel.id) ?? 0;
    const current = channel.id === this.view.channel.id;
    const { bot } = this.view.state;
    const face = channel.guild
      ? icon("hash")
      : el("span", { class: `presence ${bot.online ? "online" : ""}` }, avatar(bot, "small"));
    const badge = unread && !channel.guild ? el("span", { class: "badge" }, String(unread)) : null;
    return el(
      "button",
      {
        class: `channel ${unread ? "unread" : ""}`,
        type: "button",
        "aria-current": current ? "page" : null,
        onclick: () => this.view.openChannel(channel.id),
      },
      face,
      el("span", { class: "channel-name" }, channel.name),
      badge,
      unread ? el("span", { class: "hidden-words" }, "unread") : null,
    );
  }

  #drawMe() {
    const { me } = this.view.state;
    const button = el(
      "button",
      {
        class: "me-button",
        type: "button",
        "aria-haspopup": "menu",
        "aria-label": `You speak as ${nameOf(me)}. Switch person`,
        onclick: () => this.#openPeople(button),
      },
      avatar(me),
      el(
        "span",
        { class: "me-words" },
        el("strong", {}, nameOf(me)),
        el("span", { class: "faint" }, `${me.locale} · switch person`),
      ),
      icon("down"),
    );
    this.me.replaceChildren(button);
  }

  #openPeople(anchor) {
    const { state } = this.view;
    const rows = state.people.map((user) =>
      el(
        "button",
        {
          class: "person",
          type: "button",
          role: "menuitemradio",
          "aria-checked": String(user.id === state.me.id),
          onclick: () => this.#choose(user),
        },
        avatar(user),
        el("span", { class: "me-words" }, el("strong", {}, nameOf(user)), el("span", { class: "faint" }, about(user))),
        user.id === state.me.id ? icon("check") : null,
      ),
    );
    this.people.replaceChildren(el("p", { class: "people-title" }, "Speak as"), ...rows);
    openBeside(anchor, this.people);
    this.people.querySelector('[aria-checked="true"]')?.focus();
  }

  #choose(user) {
    this.people.hidePopover();
    this.#unread.clear();
    this.become(user.id);
  }

  #key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const rows = [...this.people.querySelectorAll(".person")];
    rows[(rows.indexOf(document.activeElement) + step + rows.length) % rows.length].focus();
  }
}

function about(user) {
  const roles = (user.roles ?? []).join(", ");
  return [user.locale, roles, user.dm_blocked && "takes no DMs"].filter(Boolean).join(" · ");
}
