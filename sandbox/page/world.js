// The panel of the world around the chat: the market's clock and prices, and what can be made to go wrong.

import { get, post, remove } from "./api.js";
import { Brokers } from "./brokers.js";
import { el, icon } from "./dom.js";
import { nameOf } from "./state.js";

const EACH_MS = 1000;
const WHILE_CLOSED_MS = 15_000;
const SESSIONS = { open: "Market open", pre: "Pre-market", post: "After hours", closed: "Market closed" };
const SPEEDS = [1, 10, 60];
const JUMPS = { "To the open": "open", "To the close": "close", "Next day": "next_day" };
const NUDGES = [-1, -0.1, 0.1, 1];
const DISCORD_FAULTS = "/sandbox/faults";
const MARKET_FAULTS = "/sandbox/market/faults";
const FAULTS = [
  [
    "Discord",
    DISCORD_FAULTS,
    [
      ["Drop the gateway", { kind: "gateway_drop" }],
      ["Gateway away for 10 s", { kind: "gateway_away", seconds: 10 }],
      ["Delay the next answer by 4 s", { kind: "callback_delay", seconds: 4, count: 1 }],
      ["Answer 429 once", { kind: "rate_limit", scope: "user", retry_after: 1, count: 1 }],
      ["Answer 503 once", { kind: "server_error", status: 503, count: 1 }],
      ["Deliver the next command twice", { kind: "duplicate_interactions", count: 1 }],
    ],
  ],
  [
    "Market feed",
    MARKET_FAULTS,
    [
      ["Hang for 20 s", { kind: "hang", seconds: 20 }],
      ["Answer 503", { kind: "status", status: 503 }],
      ["Stale by an hour", { kind: "stale", seconds: 3600 }],
    ],
  ],
  [
    "Brokers",
    MARKET_FAULTS,
    [
      ["Answer the next link with 503", { kind: "status", status: 503, count: 1, path_contains: "/oauth/" }],
      ["Refuse the next link", { kind: "invalid_grant", count: 1 }],
    ],
  ],
];

export class WorldPanel {
  #rows = new Map();
  #timer = 0;
  #visible = () => false;

  /** `visible()` says whether anybody sees the panel. */
  constructor(view, visible) {
    this.view = view;
    this.#visible = visible;
    this.time = el("p", { class: "market-time", "data-testid": "market-time" }, "–");
    this.badge = el("span", { class: "session" });
    this.paused = el("button", {
      class: "round",
      type: "button",
      onclick: () => this.#turn({ paused: this.paused.dataset.paused !== "true" }),
    });
    this.speeds = SPEEDS.map((speed) =>
      el(
        "button",
        {
          class: "chip",
          type: "button",
          "aria-pressed": "false",
          data: { speed },
          onclick: () => this.#turn({ speed, paused: false }),
        },
        `${speed}×`,
      ),
    );
    const jumps = Object.entries(JUMPS).map(([label, jump]) =>
      el("button", { class: "chip", type: "button", onclick: () => this.#turn({ jump }) }, label),
    );
    this.symbols = el("ul", { class: "symbols" });
    this.trouble = el("p", { class: "world-trouble", role: "alert" });
    this.active = el("ul", { class: "active-faults", "aria-label": "Faults that wait" });
    this.presence = el("p", { class: "world-presence" });
    this.brokers = new Brokers((act) => this.#try(act));
    this.node = el(
      "aside",
      { class: "world", id: "world", "aria-label": "World" },
      el(
        "header",
        {},
        el("h2", {}, "World"),
        el(
          "button",
          {
            class: "round world-close",
            type: "button",
            "aria-label": "Close the world panel",
            onclick: () => view.toggleWorld(false),
          },
          icon("close"),
        ),
      ),
      this.presence,
      el(
        "section",
        { "aria-label": "Market clock" },
        el("div", { class: "clock-line" }, el("h3", {}, "New York"), this.badge),
        el("div", { class: "clock-line" }, this.time, this.paused),
        el("div", { class: "chips", role: "group", "aria-label": "Speed of the clock" }, this.speeds),
        el("div", { class: "chips", role: "group", "aria-label": "Jump" }, jumps),
      ),
      this.trouble,
      el(
        "details",
        { class: "faults" },
        el("summary", {}, "Faults"),
        el("p", { class: "faint" }, "Break something and see how the bot takes it."),
        ...FAULTS.map((group) => this.#faults(...group)),
        this.active,
        el(
          "button",
          { class: "button secondary wide", type: "button", onclick: () => this.#clear() },
          "Clear all faults",
        ),
      ),
      this.brokers.node,
      el("section", { "aria-label": "Prices" }, el("h3", {}, "Prices"), this.symbols),
    );
    document.addEventListener("visibilitychange", () => document.hidden || this.poll());
  }

  /** Ask now, and then again: each second while the panel is seen, now and then while only times depend on it. */
  async poll() {
    clearTimeout(this.#timer);
    if (document.hidden) return;
    try {
      this.#show(await get("/sandbox/market"));
      if (this.#visible()) {
        if (this.node.querySelector(".faults").open) await this.#showFaults();
        await this.brokers.refresh();
      }
    } catch (error) {
      this.#complain(error);
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.poll(), this.#visible() ? EACH_MS : WHILE_CLOSED_MS);
  }

  showPresence() {
    const { bot } = this.view.state;
    this.presence.className = `world-presence ${bot.online ? "online" : ""}`;
    const where = this.view.state.elsewhere ? "on your own Discord" : bot.online ? "online" : "offline";
    this.presence.textContent = `${nameOf(bot)} is ${where}`;
  }

  #show(market) {
    const { clock, state } = this.view;
    clock.follow(market);
    this.trouble.textContent = "";
    this.time.textContent = market.new_york;
    this.badge.textContent = SESSIONS[market.session] ?? market.session;
    this.badge.dataset.session = market.session;
    this.paused.dataset.paused = String(market.paused);
    this.paused.setAttribute("aria-label", market.paused ? "Let the clock run" : "Pause the clock");
    this.paused.replaceChildren(icon(market.paused ? "play" : "pause"));
    for (const chip of this.speeds)
      chip.setAttribute("aria-pressed", String(!market.paused && Number(chip.dataset.speed) === market.speed));
    for (const symbol of market.symbols) this.#showSymbol(symbol, state.me.locale);
  }

  #showSymbol({ symbol, name, price, change_percent: change }, locale) {
    const row = this.#rows.get(symbol) ?? this.#addRow(symbol, name);
    const number = (value, options) =>
      new Intl.NumberFormat(locale, { minimumFractionDigits: 2, maximumFractionDigits: 2, ...options }).format(value);
    row.price.textContent = number(Number(price));
    row.change.textContent = `${number(Number(change), { signDisplay: "exceptZero" }).replace("-", "−")} %`;
    row.change.className = `change ${change > 0 ? "up" : change < 0 ? "down" : ""}`;
  }

  #addRow(symbol, name) {
    const nudges = NUDGES.map((percent) => {
      const label = `${percent > 0 ? "+" : "−"}${Math.abs(percent)} %`;
      return el(
        "button",
        {
          class: "chip nudge",
          type: "button",
          "aria-label": `Move ${symbol} ${label}`,
          onclick: () => this.#act(() => post("/sandbox/market/nudge", { symbol, percent })),
        },
        label,
      );
    });
    const row = { price: el("span", { class: "price" }), change: el("span", { class: "change" }) };
    this.symbols.append(
      el(
        "li",
        { data: { symbol } },
        el(
          "div",
          { class: "symbol-line" },
          el("span", { class: "symbol-name" }, el("strong", {}, symbol), el("span", { class: "faint" }, name)),
          el("span", { class: "symbol-price" }, row.price, row.change),
        ),
        el("div", { class: "nudges", role: "group", "aria-label": `Move ${symbol}` }, nudges),
      ),
    );
    this.#rows.set(symbol, row);
    return row;
  }

  #faults(title, path, faults) {
    const add = (fault) =>
      this.#try(async () => {
        await post(path, fault);
        await this.#showFaults();
      });
    const buttons = faults.map(([label, fault]) =>
      el("button", { class: "chip", type: "button", onclick: () => add(fault) }, label),
    );
    return el(
      "div",
      {},
      el("h3", {}, title),
      el("div", { class: "chips", role: "group", "aria-label": `Faults of ${title}` }, buttons),
    );
  }

  async #showFaults() {
    const waiting = (await Promise.all([get(DISCORD_FAULTS), get(MARKET_FAULTS)])).flat();
    const words = ({ kind, count }) => `${kind.replaceAll("_", " ")}${count ? ` (${count} left)` : ""}`;
    this.active.replaceChildren(...waiting.map((fault) => el("li", {}, words(fault))));
  }

  #clear() {
    return this.#try(async () => {
      await Promise.all([remove(DISCORD_FAULTS), remove(MARKET_FAULTS)]);
      await this.#showFaults();
    });
  }

  #turn(change) {
    return this.#act(() => post("/sandbox/market/clock", change));
  }

  #act(change) {
    return this.#try(async () => this.#show(await change()));
  }

  async #try(act) {
    try {
      await act();
    } catch (error) {
      this.#complain(error);
    }
  }

  #complain(error) {
    this.trouble.textContent = error.message;
  }
}
