"""Everything that an operator can set, read once from the environment and a `.env` file."""

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import Field, HttpUrl, SecretStr, WebsocketUrl, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

FeedName = Literal["alpaca", "replay"]


class Settings(BaseSettings):
    """The settings table of the README; the environment wins over `.env`."""

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True, hide_input_in_errors=True
    )

    discord_token: SecretStr | None = Field(
        default=None, description="The bot's token, from the Discord developer portal → Bot."
    )
    discord_api_url: HttpUrl = Field(
        default=HttpUrl("https://discord.com/api/v10"), description="Discord's REST API; the gateway follows from it."
    )
    shard_ids: Annotated[tuple[int, ...] | None, NoDecode] = Field(
        default=None,
        description="Shards of this process, comma separated; needs `SHARD_COUNT`. Unset: all that Discord recommends.",
    )
    shard_count: int | None = Field(default=None, ge=1, description="Number of shards over all processes.")

    database_url: SecretStr | None = Field(
        default=None, description="PostgreSQL 16 or newer. Unset: an embedded server under `PULSE_HOME`."
    )
    pulse_home: Path = Field(
        default=Path("~/.pulse"),
        description="Folder for all data that is kept outside PostgreSQL, and the embedded server.",
    )

    web_host: str = Field(default="127.0.0.1", description="Address that the web server listens on.")
    web_port: int = Field(default=8081, ge=0, le=65535, description="Port of the web server; 0 chooses a free one.")

    feeds: Annotated[tuple[FeedName, ...], NoDecode] = Field(
        default=(),
        description="Sources in the order they are asked: `alpaca`, `replay`. Unset: those that are configured.",
    )
    alpaca_data_key: SecretStr | None = Field(default=None, description="Alpaca API key id for market data.")
    alpaca_data_secret: SecretStr | None = Field(default=None, description="The secret that belongs to it.")
    alpaca_data_url: HttpUrl = Field(
        default=HttpUrl("https://data.alpaca.markets"), description="Alpaca's market data API."
    )
    alpaca_paper_api_url: HttpUrl = Field(
        default=HttpUrl("https://paper-api.alpaca.markets"),
        description="Alpaca's paper trading API: symbols, option contracts, open interest.",
    )
    alpaca_stream_url: WebsocketUrl = Field(
        default=WebsocketUrl("wss://stream.data.alpaca.markets"), description="Alpaca's stream of trades."
    )
    replay_dir: Path | None = Field(
        default=None, description="Folder of recorded chains and bars for the feed `replay`."
    )

    paper_cash: Decimal = Field(
        default=Decimal(100_000), gt=0, le=10**9, description="Cash of a new paper account, in dollars."
    )
    most_order_value: Decimal = Field(
        default=Decimal(250_000), gt=0, le=10**9, description="Most that one buy order may cost, in dollars."
    )

    log_format: Literal["console", "json"] = Field(
        default="console", description="`json` for machines, `console` for people."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="The least severe level that is written."
    )

    @field_validator("feeds", "shard_ids", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("database_url")
    @classmethod
    def _names_postgres(cls, value: SecretStr | None) -> SecretStr | None:
        # no stricter: PostgreSQL's own form for a socket, postgresql://user@/database?host=/folder, names no host
        if value and urlsplit(value.get_secret_value()).scheme not in {"postgresql", "postgres"}:
            raise ValueError("must begin with postgresql://, as in postgresql://user:password@host:5432/database")
        return value

    @field_validator("pulse_home", "replay_dir")
    @classmethod
    def _expand(cls, value: Path | None) -> Path | None:
        return value.expanduser().absolute() if value else None

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        if (self.shard_ids is None) != (self.shard_count is None):
            raise ValueError("SHARD_IDS and SHARD_COUNT go together: set both or neither")
        if "replay" in self.feeds and self.replay_dir is None:
            raise ValueError("FEEDS names replay: set REPLAY_DIR to the folder that holds the recordings")
        if "alpaca" in self.feeds and not (self.alpaca_data_key and self.alpaca_data_secret):
            raise ValueError("FEEDS names alpaca: set ALPACA_DATA_KEY and ALPACA_DATA_SECRET")
        if self.replay_dir and not self.replay_dir.is_dir():
            raise ValueError(f"REPLAY_DIR {self.replay_dir} is not a folder")
        return self

    @property
    def feed_order(self) -> tuple[FeedName, ...]:
        """The feeds to ask, in order; empty when none is configured."""
        if self.feeds:
            return self.feeds
        configured: dict[FeedName, bool] = {
            "alpaca": bool(self.alpaca_data_key and self.alpaca_data_secret),
            "replay": bool(self.replay_dir),
        }
        return tuple(name for name, ready in configured.items() if ready)

    @property
    def share_of_shards(self) -> float:
        """The part of all shards that this process runs, greater than 0: it is its part of Discord's limits too."""
        return len(self.shard_ids) / self.shard_count if self.shard_ids and self.shard_count else 1.0

    def secrets(self) -> tuple[str, ...]:
        """Return every secret value, so that the log can mask them wherever they turn up."""
        found = [value.get_secret_value() for _, value in self if isinstance(value, SecretStr)]
        if self.database_url:
            url = urlsplit(self.database_url.get_secret_value())
            passwords = [url.password or "", unquote(url.password or ""), *parse_qs(url.query).get("password", ())]
            found += dict.fromkeys(filter(None, passwords))
        return tuple(found)
