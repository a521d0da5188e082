"""How much throughput does capture take?

    python -m bench.capture
    options: --starts 12   --seconds 6   --connections 32   --server-cpu 0   --load-cpu 1   --modes async,sync
             --table FILE --target NAME   --columns 20,15,3,2

Two servers of the same model, one of which captures all that it answers, run on one CPU at the same time and are asked
at the same time, as fast as they answer: the kernel gives them turns of milliseconds, so that whatever else the machine
does falls on both. A rate is requests per second of CPU, all threads counted, which is what a server answers that has
the CPU for itself. Servers are started anew for each measurement: where their memory happens to lie makes one as much
as 1 % faster than its twin. Lost is the median over the starts, with its 95 % interval (by order: how many starts lie
below the median is binomial).
"""

import argparse
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Literal, get_args

from scipy.stats import binom

from bench._serving import wrk
from bench._serving.lines import print_table
from bench._serving.processes import Server, free_port, serving_command, started, stay_on
from bench._serving.subject import PATH, Subject, prepare

Mode = Literal["async", "sync"]

_WARM_S = 1


def main() -> None:
    """Measure each mode in turn, and print what each takes."""
    chosen = parse()
    with tempfile.TemporaryDirectory() as folder:
        numbers, categories, texts, times = map(int, chosen.columns.split(","))
        subject = prepare(Path(folder), chosen.table, chosen.target, (numbers, categories, texts, times))
        stay_on(chosen.load_cpu)
        print(f"model: {len(subject.signature.columns)} columns; {chosen.connections} connections", flush=True)
        modes: list[Mode] = [mode for mode in get_args(Mode) if mode in chosen.modes.split(",")]
        measured = {mode: [_rates(subject, mode, chosen) for _ in range(chosen.starts)] for mode in modes}
    print_table(
        f"Requests of one row per second of CPU; {chosen.starts} starts, {chosen.seconds} s each",
        ["capture", "without", "with", "lost", "95 % interval"],
        [_row(mode, rates) for mode, rates in measured.items()],
    )


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=12)
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--server-cpu", default="0")
    parser.add_argument("--load-cpu", default="1")
    parser.add_argument("--modes", default="async,sync")
    parser.add_argument("--table", type=Path)
    parser.add_argument("--target", default="target")
    parser.add_argument("--columns", default="20,15,3,2")
    return parser.parse_args()


def _rates(subject: Subject, mode: Mode, chosen: argparse.Namespace) -> tuple[float, float]:
    """Requests per second of CPU without capture and with it, of two servers started anew."""
    with ExitStack() as stack:
        servers: list[Server] = []
        for captures in (False, True):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            store, port = subject.store(folder, capture=captures, mode=mode), free_port()
            servers.append(stack.enter_context(started(serving_command(store, port), port, chosen.server_cpu)))
        _ask(servers, subject, chosen.connections, _WARM_S)
        spent = [server.cpu_s() for server in servers]
        requests = _ask(servers, subject, chosen.connections, chosen.seconds)
        without, captured = (
            asked / (server.cpu_s() - before) for asked, server, before in zip(requests, servers, spent, strict=True)
        )
        return without, captured


def _ask(servers: Sequence[Server], subject: Subject, connections: int, seconds: int) -> list[int]:
    """How many requests each answered, while all were asked."""
    with ThreadPoolExecutor(len(servers)) as threads:
        asked = [threads.submit(wrk.ask, one.url + PATH, subject.bodies, connections, seconds) for one in servers]
        return [one.result().requests for one in asked]


def _row(mode: str, rates: Sequence[tuple[float, float]]) -> list[str]:
    lost = sorted(1 - captured / without for without, captured in rates)
    outside = max(1, int(binom.ppf(0.025, len(lost), 0.5)))  # at each end; so many starts and the interval ends
    without, captured = (median(column) for column in zip(*rates, strict=True))
    interval = f"{lost[outside - 1]:.1%} to {lost[-outside]:.1%}"
    return [mode, f"{without:,.0f}", f"{captured:,.0f}", f"{median(lost):.1%}", interval]


if __name__ == "__main__":
    main()
