#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The driver tests/model/run takes no search for more than it was."""
import importlib.machinery
import importlib.util
import sys

from tap import Report

END = "State-vector 92 byte, depth reached 48, errors: {}\n   692110 states, stored\n"
WRONG = "pan:1: assertion violated ((a==b)) (at depth 27)\n"
STUCK = "pan:1: invalid end state (at depth 16)\n"
STOPPED = "Warning: Search not completed\n"

# What a search did; what it should, its exit status and output; whether it is well, as what.
JUDGEMENTS = [
    ("all states", "holds", 0, END.format(0), True, "holds"),
    ("all states, though fewer would do", "bounded", 0, END.format(0), True, "holds"),
    ("a wrong state", "holds", 0, WRONG + STOPPED + END.format(1), False, "A WRONG STATE"),
    ("a wrong state, cut off", "bounded", 0, WRONG + END.format(1), False, "A WRONG STATE"),
    ("waits for ever", "holds", 0, STUCK + END.format(1), False, "SOMEBODY WAITS FOR EVER"),
    ("interrupted", "holds", 0, "Interrupted\n" + STOPPED + END.format(0), False, "CUT OFF"),
    ("too deep", "holds", 0, "error: max search depth too small\n" + END.format(0), False,
     "CUT OFF"),
    ("out of memory", "holds", 0, "pan: reached -DMEMLIM bound\n" + STOPPED + END.format(0), False,
     "CUT OFF"),
    ("cut off, as it may", "bounded", 0, STOPPED + END.format(0), True, "bounded"),
    ("caught", "caught", 0, WRONG + STOPPED + END.format(1), True, "caught"),
    ("not caught", "caught", 0, END.format(0), False, "NOT CAUGHT"),
    ("not caught, cut off", "caught", 0, STOPPED + END.format(0), False, "NOT CAUGHT"),
    ("a variant that is stuck only", "caught", 0, STUCK + END.format(1), False, "SOMEBODY WAITS"),
    ("an error of another kind", "caught", 0, "pan:1: block in d_step seq (at depth 14)\n"
     + END.format(1), False, "AN ERROR IN THE MODEL"),
    ("dies", "holds", -11, "", False, "NO RESULT"),
    ("dies after its statistics", "holds", -11, END.format(0), False, "NO RESULT"),
    ("is killed", "bounded", -9, "Depth= 48 States= 1e+06\n", False, "NO RESULT"),
    ("prints nothing", "caught", 0, "", False, "NO RESULT"),
    ("looks at nothing", "holds", 0, "errors: 0\n 0 states, stored\n", False, "NOTHING"),
]


def load_driver(path):
    loader = importlib.machinery.SourceFileLoader("model_driver", path)
    spec = importlib.util.spec_from_loader("model_driver", loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules["model_driver"] = module
    loader.exec_module(module)
    return module


def main(root):
    driver = load_driver(f"{root}/tests/model/run")
    report = Report()
    for name, wanted, status, text, well, verdict in JUDGEMENTS:
        judged = driver.judge(wanted, status, driver.read_search(text))
        report.rule(f"judges right: {name}",
                    [] if judged[0] == well and judged[1].startswith(verdict)
                    else [f"judged {judged}, not {(well, verdict)}"])
    names = [run.name for run in driver.RUNS]
    models = {run.model for run in driver.RUNS}
    report.rule("no two runs have one name", [name for name in names if names.count(name) > 1])
    report.rule("each model is run as it is, and with something left out",
                [f"{model}: not {wanted}" for model in sorted(models)
                 for wanted in ({"holds", "bounded"}, {"caught"})
                 if not any(run.model == model and run.wanted in wanted for run in driver.RUNS)])
    report.end()


main(sys.argv[1])
