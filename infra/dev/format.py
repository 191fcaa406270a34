"""`make format`: format the Python sources and apply ruff's safe fixes."""

from infra.dev.steps import Step, run_steps

if __name__ == "__main__":
    raise SystemExit(
        run_steps(
            [
                Step("ruff fixes", ("ruff", "check", "--fix", "--quiet", ".")),
                Step("ruff format", ("ruff", "format", ".")),
            ]
        )
    )
