# SPDX-License-Identifier: Apache-2.0
"""Prints the result of each rule as one TAP case, its findings as comments below."""
import sys


class Report:
    def __init__(self):
        self.n_cases = 0
        self.n_failed = 0

    def rule(self, name, findings):
        """Passes if there are no findings; a finding is a text that says where and what."""
        self.n_cases += 1
        self.n_failed += bool(findings)
        print(f"{'not ok' if findings else 'ok'} {self.n_cases} - {name}")
        for finding in findings:
            print(f"#   {finding}")

    def catches(self, name, findings):
        """The reverse, for a violation planted on purpose: a checker that is blind fails."""
        self.rule(f"self-test: {name}", [] if findings else ["the planted violation was not seen"])

    def end(self):
        print(f"1..{self.n_cases}", flush=True)
        sys.exit(1 if self.n_failed else 0)
