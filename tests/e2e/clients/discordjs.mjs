// discord.js as it is, pointed at the stand-in by its public options: `node discordjs.mjs URL`.
// It says `ready` and `resumed` on stdout, and leaves when stdin ends.
import {
  ActionRowBuilder,
  AttachmentBuilder,
  ButtonBuilder,
  ButtonStyle,
  Client,
  EmbedBuilder,
  Events,
  GatewayIntentBits,
  LabelBuilder,
  MessageFlags,
  ModalBuilder,
  SlashCommandBuilder,
  StringSelectMenuBuilder,
  TextInputBuilder,
  TextInputStyle,
} from 'discord.js';

const url = process.argv[2];
const client = new Client({
  intents: [GatewayIntentBits.Guilds],
  rest: { api: `${url}/api` },
  allowedMentions: { parse: [] },
});

const commands = ['quote', 'gamma'].map((name) =>
  new SlashCommandBuilder()
    .setName(name)
    .setDescription(`The ${name} of a symbol`)
    .addStringOption((option) =>
      option.setName('symbol').setDescription('A symbol').setRequired(true).setAutocomplete(true),
    ),
);

const actions = {
  async quote(interaction) {
    const buttons = [
      new ButtonBuilder().setCustomId('refresh').setLabel('Refresh').setStyle(ButtonStyle.Primary),
      new ButtonBuilder().setCustomId('alert').setLabel('Alert me').setEmoji('⏰').setStyle(ButtonStyle.Secondary),
      new ButtonBuilder().setURL('https://example.test/link/1').setLabel('Open').setStyle(ButtonStyle.Link),
    ];
    const options = ['week', 'all'].map((value) => ({ label: value, value }));
    const select = new StringSelectMenuBuilder().setCustomId('expiry').addOptions(options);
    const symbol = interaction.options.getString('symbol');
    await interaction.reply({
      content: `${symbol} 601.20`,
      embeds: [new EmbedBuilder().setTitle(symbol).addFields({ name: 'Bid', value: '601.19' })],
      components: [new ActionRowBuilder().addComponents(buttons), new ActionRowBuilder().addComponents(select)],
    });
  },

  async gamma(interaction) {
    await interaction.deferReply();
    const files = [new AttachmentBuilder(Buffer.from('picture'), { name: 'gamma.png', description: 'Gamma by strike' })];
    await interaction.editReply({ content: `Gamma of ${interaction.options.getString('symbol')}`, files });
    await interaction.followUp({ content: 'More', flags: MessageFlags.Ephemeral });
  },

  async refresh(interaction) {
    await interaction.update('refreshed');
  },

  async expiry(interaction) {
    await interaction.deferUpdate();
    await interaction.editReply(`expiry ${interaction.values[0]}`);
  },

  async alert(interaction) {
    const level = new TextInputBuilder().setCustomId('level').setStyle(TextInputStyle.Short);
    const label = new LabelBuilder().setLabel('Level').setTextInputComponent(level);
    const form = new ModalBuilder().setCustomId('form').setTitle('Alert').addLabelComponents(label);
    await interaction.showModal(form);
  },

  async form(interaction) {
    const level = interaction.fields.getTextInputValue('level');
    await interaction.reply({ content: `Alert at ${level}`, flags: MessageFlags.Ephemeral });
  },
};

client.on(Events.InteractionCreate, async (interaction) => {
  if (interaction.isAutocomplete()) {
    const typed = interaction.options.getFocused().toUpperCase();
    const fitting = ['SPY', 'SPX'].filter((symbol) => symbol.startsWith(typed));
    await interaction.respond(fitting.map((symbol) => ({ name: symbol, value: symbol })));
  } else {
    await actions[interaction.commandName ?? interaction.customId](interaction);
  }
});

client.once(Events.ClientReady, async () => {
  await client.application.commands.set(commands);
  console.log('ready');
});
client.on(Events.ShardResume, () => console.log('resumed'));

process.stdin.resume().on('end', () => client.destroy());
await client.login('sandbox.token');
