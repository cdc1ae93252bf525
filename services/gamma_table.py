"""The numbers behind a gamma picture as CSV."""

import csv
import io

from services.gamma import Gamma


def table(gamma: Gamma) -> bytes:
    """Return exposure by strike in the dollars of the picture, a row each; the columns name their unit."""
    unit = "usd_per_point" if gamma.lens.per_point else "usd_per_1pct"
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("strike", *(f"{side}_gex_{unit}" for side in ("call", "put", "net"))))
    columns = (gamma.strikes, gamma.call_gex, gamma.put_gex, gamma.call_gex + gamma.put_gex)
    rows.writerows(zip(*(column.tolist() for column in columns), strict=True))
    return text.getvalue().encode()
