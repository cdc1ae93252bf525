// Two clocks, the real one and the market's, and times in the words of the person's own locale.

import { el } from "./dom.js";

const STYLES = {
  t: { timeStyle: "short" },
  T: { timeStyle: "medium" },
  d: { dateStyle: "short" },
  D: { dateStyle: "long" },
  f: { dateStyle: "long", timeStyle: "short" },
  F: { dateStyle: "full", timeStyle: "short" },
  s: { dateStyle: "short", timeStyle: "short" },
  S: { dateStyle: "short", timeStyle: "medium" },
};

const STEPS = [
  ["year", 31_536_000],
  ["month", 2_592_000],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

/** "in 5 minutes", "2 days ago": `seconds` from now, in the largest unit that fits. */
export function relative(seconds, locale) {
  const [unit, size] = STEPS.find(([, step]) => Math.abs(seconds) >= step) ?? ["second", 1];
  const amount = Math.trunc(seconds / size);
  return new Intl.RelativeTimeFormat(locale, { numeric: amount === 0 ? "auto" : "always" }).format(amount, unit);
}

export class Clock {
  locale = "en-US";
  #market = null;

  constructor() {
    setInterval(() => document.hidden || this.tick(), 1000);
  }

  /** Take the market's clock from an answer of `GET /sandbox/market`. */
  follow({ now, speed, paused }) {
    this.#market = { at: Date.parse(now), pace: paused ? 0 : speed, read: performance.now() };
  }

  get marketNow() {
    const { at, pace, read } = this.#market;
    return at + (performance.now() - read) * pace;
  }

  /** Now, in ms, on whichever of the two clocks is nearer to the moment. */
  nowNear(moment) {
    const real = Date.now();
    if (!this.#market) return real;
    const market = this.marketNow;
    return Math.abs(market - moment) < Math.abs(real - moment) ? market : real;
  }

  format(moment, style) {
    return new Intl.DateTimeFormat(this.locale, STYLES[style] ?? STYLES.f).format(moment);
  }

  /** A `<t:unix:style>` of Discord. */
  timestamp(unix, style = "f") {
    const moment = unix * 1000;
    if (Math.abs(moment) > 8.64e15) return el("span", {}, `<t:${unix}:${style}>`);
    const node = el("time", {
      class: "timestamp",
      datetime: new Date(moment).toISOString(),
      title: this.format(moment, "F"),
    });
    if (style === "R") node.dataset.relative = moment;
    node.textContent = style === "R" ? this.#ago(moment) : this.format(moment, style);
    return node;
  }

  /** When a message was written: the time alone if it was today. */
  written(moment) {
    const days = Math.round((startOfDay(moment) - startOfDay(Date.now())) / 86_400_000);
    if (days === 0) return this.format(moment, "t");
    if (days !== -1) return this.format(moment, "s");
    return `${new Intl.RelativeTimeFormat(this.locale, { numeric: "auto" }).format(-1, "day")}, ${this.format(moment, "t")}`;
  }

  /** Bring all relative times on the page up to date. */
  tick() {
    for (const node of document.querySelectorAll("time[data-relative]")) {
      const words = this.#ago(Number(node.dataset.relative));
      if (node.textContent !== words) node.textContent = words;
    }
  }

  #ago(moment) {
    return relative(Math.round((moment - this.nowNear(moment)) / 1000), this.locale);
  }
}

export const startOfDay = (moment) => new Date(moment).setHours(0, 0, 0, 0);
