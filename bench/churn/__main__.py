"""The churn score: `python -m bench.churn`, or `make churn`. Who was wrong, and sure of it?

Simulated clusters that know the truth at every microsecond go through ordinary churn and every adversarial case; a
recorder writes down what a watch delivers; whowas and restatements of four other ways to name are asked who held which
address when, most of all near the moments at which that changed.

wrong: certain, and not so (`exact` with another pod or nobody, `none` though a pod held it and the evidence shows it,
`node`, `service` or `snat` where that is not so). lost: ambiguous, and the truth is not among the candidates.
unseen: `none`, of a pod whose address no object ever showed. decid.: the share of questions that an ideal observer of
the same lines could answer with certainty (bench/churn/questions.py says how that is told). decided: of these, where a
pod held the address, the share that was answered exact or likely, and rightly.

The exit code is 1 when anything is wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

from bench.churn.running import ALL, Told, run_all
from bench.churn.tables import markdown, plain, text


def options() -> argparse.Namespace:
    """What can be told."""
    parser = argparse.ArgumentParser(prog="python -m bench.churn", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--seeds", type=int, default=4, help="worlds a case (default 4)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument("--case", type=int, action="append", help="only this number, several times; 0: ordinary churn")
    parser.add_argument("--clocks", choices=("own", "right"), default="own",
                        help="own: half of the nodes up to 0.4 s off, or what the case says; right: none")  # fmt: skip
    parser.add_argument("--uniform", type=int, default=300, help="questions at random moments, a world (default 300)")
    parser.add_argument("--counted", action="store_true",
                        help="ask of captured flows, which show whether an end sent a packet of its own")  # fmt: skip
    parser.add_argument("--shrink", type=int, default=0, metavar="N",
                        help="show the least evidence of up to N wrong answers a world (slow)")  # fmt: skip
    parser.add_argument("--jobs", type=int, default=min(os.cpu_count() or 1, 8), help="processes (default: cores)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--markdown", metavar="FILE", help="write the tables as Markdown")
    return parser.parse_args()


def main() -> int:
    """Run, print, and say by the exit code whether anything was wrong."""
    told = options()
    cases = tuple(one for one in ALL if not told.case or one.number in told.case)
    seeds = range(told.first, told.first + told.seeds)
    began, results = time.monotonic(), []
    for case, ran in run_all(cases, seeds, Told(told.clocks, told.shrink, told.uniform, told.counted), told.jobs):
        results.append((case, ran))
        if ran.wrong_seeds:
            print(f"case {case.number}, {case.name}: certain and wrong with seeds {ran.wrong_seeds}", file=sys.stderr)
        for line in ran.explained:
            print(line, file=sys.stderr)
        if ran.skipped:
            print(f"case {case.number}, {case.name}: SKIPPED, {ran.skipped}", file=sys.stderr)
    seconds = time.monotonic() - began
    print(json.dumps(plain(results)) if told.json else f"{text(results)}\n\n{len(seeds)} seeds, {seconds:.0f} s")
    if told.markdown:
        Path(told.markdown).write_text(markdown(results))
    return 1 if any(ran.score.counts["wrong"] for _, ran in results) else 0


if __name__ == "__main__":
    sys.exit(main())
