"""The symbols of the synthetic market: real names, plausible prices of 2026, invented paths."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Listed:
    """One symbol; `path` names the price path that it shares, so that SPY follows SPX."""

    symbol: str
    name: str
    exchange: str
    price: float
    volatility: float
    """Annual, in the underlying's own path and at the money of its options."""
    beta: float
    volume: int
    """Shares on an average day; 0 marks an index, which trades through its options only."""
    path: str
    has_options: bool = True
    dailies: bool = False
    """Options expire every day, not only on Fridays."""

    @property
    def is_index(self) -> bool:
        return self.volume == 0


# Alpaca has an asset class `us_index` but documents no index quotes: SPX, NDX, RUT and VIX are served in the shapes of
# stocks all the same, without bid and ask, so that the chain of an index can be tried here. VIX is the symbol without
# a chain: its options settle on futures, which this market does not have.
_INDICES = (
    Listed("SPX", "S&P 500 Index", "BATS", 7640.0, 0.135, 1.0, 0, "SPX", dailies=True),
    Listed("NDX", "Nasdaq 100 Index", "NASDAQ", 28_350.0, 0.185, 1.22, 0, "NDX"),
    Listed("RUT", "Russell 2000 Index", "BATS", 2868.0, 0.20, 1.2, 0, "RUT"),
    Listed("VIX", "Cboe Volatility Index", "BATS", 16.4, 1.0, -5.8, 0, "VIX", has_options=False),
)
_FUNDS = (
    Listed("SPY", "SPDR S&P 500 ETF Trust", "ARCA", 762.1, 0.135, 1.0, 68_000_000, "SPX", dailies=True),
    Listed("QQQ", "Invesco QQQ Trust, Series 1", "NASDAQ", 690.4, 0.185, 1.22, 44_000_000, "NDX", dailies=True),
    Listed("IWM", "iShares Russell 2000 ETF", "ARCA", 285.2, 0.20, 1.2, 33_000_000, "RUT", dailies=True),
    Listed("DIA", "SPDR Dow Jones Industrial Average ETF Trust", "ARCA", 521.7, 0.125, 0.85, 3_400_000, "DIA"),
    Listed("GLD", "SPDR Gold Shares", "ARCA", 402.3, 0.17, 0.1, 9_500_000, "GLD"),
    Listed("TLT", "iShares 20+ Year Treasury Bond ETF", "NASDAQ", 90.6, 0.13, -0.1, 36_000_000, "TLT"),
    Listed("XLF", "Financial Select Sector SPDR Fund", "ARCA", 56.2, 0.17, 0.95, 41_000_000, "XLF"),
)
# symbol, name, exchange, price, volatility, beta, million shares a day
_STOCKS = (
    ("AAPL", "Apple Inc. Common Stock", "NASDAQ", 312.4, 0.25, 1.1, 48.0),
    ("MSFT", "Microsoft Corporation Common Stock", "NASDAQ", 565.8, 0.23, 1.05, 21.0),
    ("NVDA", "NVIDIA Corporation Common Stock", "NASDAQ", 228.6, 0.42, 1.8, 170.0),
    ("TSLA", "Tesla, Inc. Common Stock", "NASDAQ", 455.3, 0.55, 1.9, 82.0),
    ("AMD", "Advanced Micro Devices, Inc. Common Stock", "NASDAQ", 262.9, 0.50, 1.9, 41.0),
    ("AMZN", "Amazon.com, Inc. Common Stock", "NASDAQ", 258.1, 0.30, 1.3, 39.0),
    ("META", "Meta Platforms, Inc. Class A Common Stock", "NASDAQ", 742.5, 0.32, 1.3, 13.0),
    ("GOOGL", "Alphabet Inc. Class A Common Stock", "NASDAQ", 352.7, 0.29, 1.15, 30.0),
    ("NFLX", "Netflix, Inc. Common Stock", "NASDAQ", 118.4, 0.34, 1.1, 36.0),
    ("AVGO", "Broadcom Inc. Common Stock", "NASDAQ", 398.2, 0.42, 1.6, 22.0),
    ("PLTR", "Palantir Technologies Inc. Class A Common Stock", "NASDAQ", 186.3, 0.60, 2.0, 62.0),
    ("COIN", "Coinbase Global, Inc. Class A Common Stock", "NASDAQ", 288.9, 0.68, 2.1, 9.0),
    ("HOOD", "Robinhood Markets, Inc. Class A Common Stock", "NASDAQ", 128.5, 0.66, 2.0, 28.0),
    ("MSTR", "Strategy Inc Class A Common Stock", "NASDAQ", 214.6, 0.75, 2.1, 14.0),
    ("INTC", "Intel Corporation Common Stock", "NASDAQ", 47.9, 0.48, 1.4, 88.0),
    ("MU", "Micron Technology, Inc. Common Stock", "NASDAQ", 268.4, 0.50, 1.7, 24.0),
    ("COST", "Costco Wholesale Corporation Common Stock", "NASDAQ", 962.0, 0.20, 0.7, 2.1),
    ("BRK.B", "Berkshire Hathaway Inc. Class B", "NYSE", 528.3, 0.16, 0.6, 4.2),
    ("JPM", "JPMorgan Chase & Co.", "NYSE", 334.1, 0.22, 1.0, 9.0),
    ("BAC", "Bank of America Corporation", "NYSE", 56.4, 0.25, 1.1, 37.0),
    ("XOM", "Exxon Mobil Corporation", "NYSE", 128.7, 0.22, 0.5, 15.0),
    ("KO", "The Coca-Cola Company", "NYSE", 75.9, 0.14, 0.35, 15.0),
    ("DIS", "The Walt Disney Company", "NYSE", 121.2, 0.25, 1.0, 9.0),
    ("BA", "The Boeing Company", "NYSE", 226.8, 0.33, 1.2, 8.0),
    ("WMT", "Walmart Inc.", "NYSE", 113.8, 0.20, 0.55, 18.0),
    ("ORCL", "Oracle Corporation", "NYSE", 224.5, 0.42, 1.4, 20.0),
    ("CRM", "Salesforce, Inc.", "NYSE", 262.3, 0.32, 1.2, 8.0),
    ("V", "Visa Inc. Class A", "NYSE", 361.0, 0.19, 0.8, 6.5),
    ("UNH", "UnitedHealth Group Incorporated", "NYSE", 371.5, 0.32, 0.5, 9.0),
    ("LLY", "Eli Lilly and Company", "NYSE", 1018.0, 0.31, 0.5, 3.6),
    ("PFE", "Pfizer Inc.", "NYSE", 26.1, 0.22, 0.5, 45.0),
    ("F", "Ford Motor Company", "NYSE", 13.62, 0.32, 1.2, 60.0),
    ("GME", "GameStop Corp. Class A", "NYSE", 23.84, 0.55, 1.0, 8.0),
    ("UBER", "Uber Technologies, Inc.", "NYSE", 94.7, 0.36, 1.3, 19.0),
)

LISTED: dict[str, Listed] = {
    listed.symbol: listed
    for listed in (
        *_INDICES,
        *_FUNDS,
        *(Listed(s, n, x, p, v, b, int(m * 1e6), s) for s, n, x, p, v, b, m in _STOCKS),
    )
}
