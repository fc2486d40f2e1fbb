"""What the answers of a model are worth on public data sets: comparisons, calibration, decisions, audits, drift.

    python benchmarks/evidence.py --data-root DATA
    python benchmarks/evidence.py --data-root DATA --studies curves --quick
    python benchmarks/evidence.py --table-only

It runs as `transfer.py` does; its studies are the modules of `benchmarks/studies/evidence`.
"""

from __future__ import annotations

import studies
import transfer

if __name__ == "__main__":
    transfer.main(__doc__ or "", studies.EVIDENCE)
