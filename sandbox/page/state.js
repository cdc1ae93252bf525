// Who and what exists, as `GET /sandbox/state` tells it, seen by one person.

import { invocables } from "./command_line.js";

const GUILD_CONTEXT = 0;
const BOT_DM_CONTEXT = 1;

export class State {
  constructor(wire, wanted) {
    this.application = wire.application;
    this.elsewhere = wire.elsewhere;
    this.bot = wire.bot;
    this.people = wire.users;
    this.guilds = wire.guilds;
    this.commands = wire.commands;
    this.me = this.people.find((user) => user.id === wanted || user.username === wanted) ?? this.people[0];
    this.channels = wire.guilds.flatMap((guild) => guild.channels.map((channel) => ({ ...channel, guild })));
    const dm = wire.dms.find(({ user }) => user === this.me.id);
    if (dm) this.channels.push({ id: dm.id, name: nameOf(this.bot), type: 1, guild: null });
  }

  user(id) {
    return id === this.bot.id ? this.bot : this.people.find((user) => user.id === id);
  }

  channel(id) {
    return this.channels.find((channel) => channel.id === id);
  }

  /** The channel that an address bar's fragment means: an id, a name, or "dm". */
  channelNamed(name) {
    const found = this.channel(name) ?? this.channels.find((channel) => channel.guild && channel.name === name);
    return found ?? (name === "dm" ? this.dm : undefined) ?? this.channels[0];
  }

  get dm() {
    return this.channels.find((channel) => !channel.guild);
  }

  /** The slash commands on offer in a channel, subcommands each for themselves, by name. */
  commandsIn(channel) {
    const context = channel.guild ? GUILD_CONTEXT : BOT_DM_CONTEXT;
    const offered = this.commands.filter(
      (command) =>
        (command.type ?? 1) === 1 &&
        (command.guild_id ? command.guild_id === channel.guild?.id : (command.contexts ?? [context]).includes(context)),
    );
    return invocables(offered).sort((one, other) => one.name.localeCompare(other.name));
  }
}

export const nameOf = (user) => user?.global_name ?? user?.username ?? "someone";

export const titleOf = (channel) => (channel.guild ? `#${channel.name}` : `@${channel.name}`);

/** Snowflakes grow with time; they are too long for numbers. */
export const byId = (one, other) =>
  one.id.length - other.id.length || (one.id < other.id ? -1 : Number(one.id > other.id));
