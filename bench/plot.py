"""`python -m bench.plot [--calls 100 250 …] [--results FILE]`: how the recorder's CPU grows with calls.

Runs bench.media at each number of calls, writes what it measured to `--results` (JSON) and docs/media-growth.png. With
`--from FILE` it only plots what an earlier run has written. Calls are overheard on a mirror port unless `--tap siprec`
is asked for: there the kernel receives in the generator's time, which is then too busy to send for 5,000 calls. Needs
the extra `[bench]` (matplotlib).
"""

import argparse
import json
from pathlib import Path
from typing import Any

from bench.media import run

CALLS = [100, 250, 500, 1000, 2500, 5000]
PICTURE = Path(__file__).parents[1] / "docs" / "media-growth.png"


def plot(results: list[dict[str, Any]], path: Path) -> None:
    """CPU share and CPU per packet against calls."""
    import matplotlib  # noqa: PLC0415 - an extra: measuring does not need it

    matplotlib.use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415

    calls = [one["calls"] for one in results]
    figure, (share, each) = pyplot.subplots(1, 2, figsize=(9, 3.4), dpi=80, layout="constrained")
    share.plot(calls, [one["cpu_share"] * 100 for one in results], "o-", color="#1f4e79")
    share.set(title="CPU of the recorder", xlabel="calls at once (G.711, two streams)", ylabel="% of one core")
    each.plot(calls, [one["us_per_packet"] for one in results], "o-", color="#1f4e79", label="recorder")
    softirq = [one["softirq_us_per_packet"] for one in results]
    each.plot(calls, softirq, "s--", color="#a0a0a0", label="kernel, receiving (estimated)")
    each.set(title="CPU per packet", xlabel="calls at once", ylabel="µs")
    each.legend(frameon=False)
    for axes in (share, each):
        axes.set(xlim=(0, None), ylim=(0, None))
        axes.grid(alpha=0.3)
    lost = sum(one["lost"] for one in results)
    figure.suptitle(f"Encrypted capture, 100 packets/s a call; {lost} of {sum(one['packets'] for one in results)} lost")
    figure.savefig(path)


def main() -> None:
    """Measure unless there are results already, and plot."""
    parser = argparse.ArgumentParser(prog="python -m bench.plot", description=__doc__)
    parser.add_argument("--calls", type=int, nargs="+", default=CALLS, help="numbers of calls to measure at")
    parser.add_argument("--tap", choices=["siprec", "span"], default="span", help="how calls are heard of")
    parser.add_argument("--seconds", type=float, default=6, help="length of each measurement (default 6)")
    parser.add_argument("--results", type=Path, default=Path("results.json"), help="where to write what was measured")
    parser.add_argument("--from", type=Path, dest="existing", help="results of an earlier run: only plot")
    parser.add_argument("--picture", type=Path, default=PICTURE, help="where to write the picture")
    asked = parser.parse_args()
    if asked.existing is not None:
        results = json.loads(asked.existing.read_text(encoding="utf-8"))
    else:
        results = []
        for calls in asked.calls:
            results.append(run(calls, asked.seconds, yardsticks=False, tap=asked.tap))
            print(json.dumps(results[-1]), flush=True)
            asked.results.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    for one in results:
        if one["void"]:
            print(f"left out: {one['calls']} calls, the generator was {one['generator_late_ms']} ms late")
    plot([one for one in results if not one["void"]], asked.picture)


if __name__ == "__main__":
    main()
