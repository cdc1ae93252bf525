"""Everything that an operator can set, read once from the environment and a `.env` file."""

from decimal import Decimal
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import Field, HttpUrl, SecretStr, WebsocketUrl, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from services.plans import Plan
from services.vault import read_keys

BrokerName = Literal["alpaca", "tradier"]
FeedName = Literal["alpaca", "tradier", "cboe", "replay"]


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
    discord_application_id: int | None = Field(
        default=None, gt=0, description="The application's id, from the portal → General Information; for `/link`."
    )
    discord_client_secret: SecretStr | None = Field(
        default=None, description="From the portal → OAuth2. Register `PUBLIC_URL/auth/discord/callback` there."
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
    public_url: HttpUrl = Field(
        default=HttpUrl("http://127.0.0.1:8081"),
        description="Where browsers reach the web server, `https://` unless it is this machine. "
        "Unset: `http://WEB_HOST:WEB_PORT`.",
    )
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        default=(),
        description="Addresses or networks of reverse proxies whose `X-Forwarded-For` names the visitor; without it "
        "every visitor behind a proxy shares one rate limit.",
    )
    secret_keys: SecretStr | None = Field(
        default=None,
        description="Keys that encrypt members' broker tokens, `id:key` and comma separated: the first encrypts, all "
        "decrypt. `pulse vault key` makes one.",
    )

    feeds: Annotated[tuple[FeedName, ...], NoDecode] = Field(
        default=(),
        description="Sources in the order they are asked: `alpaca`, `tradier`, `cboe`, `replay`. "
        "Unset: those that are configured, without `cboe`.",
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
    alpaca_client_id: str | None = Field(
        default=None,
        description="Client id of your Alpaca OAuth app, for `/link`. "
        "Register `PUBLIC_URL/broker-oauth/callback/alpaca` there.",
    )
    alpaca_client_secret: SecretStr | None = Field(default=None, description="The secret that belongs to it.")
    alpaca_authorize_url: HttpUrl = Field(
        default=HttpUrl("https://app.alpaca.markets/oauth/authorize"), description="Alpaca's consent page."
    )
    alpaca_token_url: HttpUrl = Field(
        default=HttpUrl("https://api.alpaca.markets/oauth/token"), description="Where its codes become tokens."
    )
    alpaca_api_url: HttpUrl = Field(
        default=HttpUrl("https://api.alpaca.markets"), description="Alpaca's live trading API: whose account it is."
    )
    tradier_client_id: str | None = Field(
        default=None,
        description="Client id of your Tradier partner app, for `/link`. "
        "Register `PUBLIC_URL/broker-oauth/callback/tradier` there.",
    )
    tradier_client_secret: SecretStr | None = Field(default=None, description="The secret that belongs to it.")
    tradier_data_token: SecretStr | None = Field(
        default=None, description="Tradier API access token for market data, of the host in `TRADIER_API_URL`."
    )
    tradier_api_url: HttpUrl = Field(
        default=HttpUrl("https://api.tradier.com/v1"),
        description="Tradier's API and its OAuth; `https://sandbox.tradier.com/v1` is free and 15 minutes late.",
    )
    cboe_url: HttpUrl = Field(
        default=HttpUrl("https://cdn.cboe.com"), description="Cboe's delayed quotes, for the feed `cboe`."
    )
    cboe_licensed: bool = Field(
        default=False,
        description="`true` states that you hold Cboe's written approval and a licence to use and redistribute its "
        "delayed quotes; the feed `cboe` is refused without it.",
    )
    replay_dir: Path | None = Field(
        default=None, description="Folder of recorded chains and bars for the feed `replay`."
    )

    watch_symbols: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("SPY", "QQQ", "SPX"),
        description="Symbols whose gamma history is collected beside those of boards, watches and alerts.",
    )
    history_every_min: int = Field(
        default=5, ge=1, le=60, description="Minutes between two points of the gamma history while the market is open."
    )
    history_days: int = Field(
        default=30, ge=1, description="Days that points within a session are kept; those of closes stay for ever."
    )
    chain_files_days: int = Field(default=7, ge=1, description="Days that the chain files behind the replay are kept.")
    storage_url: str | None = Field(
        default=None, description="Where files are kept: `s3://bucket/prefix`. Unset: `storage` under `PULSE_HOME`."
    )
    s3_endpoint: HttpUrl | None = Field(
        default=None, description="Address of an S3-compatible service. Unset: Amazon's own."
    )
    s3_access_key: SecretStr | None = Field(
        default=None, description="Key id for the bucket. Unset: the role of the machine, as Amazon gives it one."
    )
    s3_secret_key: SecretStr | None = Field(default=None, description="The secret that belongs to it.")
    s3_region: str = Field(default="us-east-1", description="Region of the bucket.")

    default_plan: Plan = Field(
        default=Plan.ELITE, description="The plan of people who were given none: `free`, `pro` or `elite`."
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

    @model_validator(mode="before")
    @classmethod
    def _public_url_follows(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("public_url") is None:
            host, port = given.get("web_host", "127.0.0.1"), given.get("web_port", 8081)
            return {**given, "public_url": f"http://{f'[{host}]' if ':' in host else host}:{port}"}
        return given

    @field_validator("feeds", "shard_ids", "trusted_proxies", "watch_symbols", mode="before")
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

    @field_validator("storage_url")
    @classmethod
    def _names_bucket(cls, value: str | None) -> str | None:
        if value and not (value.startswith("s3://") and urlsplit(value).netloc):
            raise ValueError("must be s3://bucket or s3://bucket/prefix; leave it out to keep files under PULSE_HOME")
        return value

    @field_validator("secret_keys")
    @classmethod
    def _are_keys(cls, value: SecretStr | None) -> SecretStr | None:
        if value:
            read_keys(value.get_secret_value())
        return value

    @field_validator("public_url")
    @classmethod
    def _is_origin(cls, value: HttpUrl) -> HttpUrl:
        if value.path not in {None, "/"} or value.query or value.fragment or value.username or value.password:
            raise ValueError("must be an address alone, as in https://pulse.example.com, without a path or a login")
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
        if "tradier" in self.feeds and not self.tradier_data_token:
            raise ValueError("FEEDS names tradier: set TRADIER_DATA_TOKEN")
        if "cboe" in self.feeds and not self.cboe_licensed:
            raise ValueError(
                "FEEDS names cboe: Cboe's terms ask for its prior written approval and a licence to use and "
                "redistribute its quotes; set CBOE_LICENSED=true if you hold both, else take cboe out of FEEDS"
            )
        if (self.s3_access_key is None) != (self.s3_secret_key is None):
            raise ValueError("S3_ACCESS_KEY and S3_SECRET_KEY go together: set both or neither")
        if self.replay_dir and not self.replay_dir.is_dir():
            raise ValueError(f"REPLAY_DIR {self.replay_dir} is not a folder")
        return self

    @model_validator(mode="after")
    def _can_link(self) -> Self:
        for broker, (client, secret) in self._clients.items():
            if bool(client) != bool(secret):
                name = broker.upper()
                raise ValueError(f"{name}_CLIENT_ID and {name}_CLIENT_SECRET go together: set both or neither")
        if not self.brokers:
            return self
        if not (self.discord_application_id and self.discord_client_secret):
            raise ValueError(
                "members link brokers in the browser, signed in with Discord: set DISCORD_APPLICATION_ID and "
                "DISCORD_CLIENT_SECRET, or take the broker's CLIENT_ID and CLIENT_SECRET out"
            )
        if not self.secret_keys:
            raise ValueError(
                "members' broker tokens are kept encrypted: run `pulse vault key` and set SECRET_KEYS to what it "
                "prints; keep a copy outside the database"
            )
        if self.public_url.scheme != "https" and not _is_loopback(self.public_url.host or ""):
            raise ValueError(
                f"PUBLIC_URL is {self.public_address}, and members sign in there: set it to the https:// address of "
                "this server, as browsers reach it"
            )
        if self.public_url.port == 0:
            raise ValueError("WEB_PORT 0 has no address to come back to from a broker: set PUBLIC_URL or WEB_PORT")
        return self

    @property
    def brokers(self) -> tuple[BrokerName, ...]:
        """The brokers that members can link, in a fixed order."""
        return tuple(name for name, (client, secret) in self._clients.items() if client and secret)

    def broker_client(self, broker: BrokerName) -> tuple[str, str]:
        """Return the client id and secret of one of `brokers`."""
        client, secret = self._clients[broker]
        assert client, "one of `brokers` has both"
        assert secret, "likewise"
        return client, secret.get_secret_value()

    @property
    def _clients(self) -> dict[BrokerName, tuple[str | None, SecretStr | None]]:
        return {
            "alpaca": (self.alpaca_client_id, self.alpaca_client_secret),
            "tradier": (self.tradier_client_id, self.tradier_client_secret),
        }

    @property
    def public_address(self) -> str:
        """Where browsers reach us, without a slash at the end."""
        return str(self.public_url).rstrip("/")

    @property
    def feed_order(self) -> tuple[FeedName, ...]:
        """The feeds to ask, in order; empty when none is configured."""
        if self.feeds:
            return self.feeds
        configured: dict[FeedName, bool] = {
            "alpaca": bool(self.alpaca_data_key and self.alpaca_data_secret),
            "tradier": bool(self.tradier_data_token),
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
        if self.secret_keys:
            found += [pair.partition(":")[2].strip() for pair in self.secret_keys.get_secret_value().split(",")]
        return tuple(found)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
