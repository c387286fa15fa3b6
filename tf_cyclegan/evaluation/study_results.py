"""How often people took the generated image for the real one, and how sure that is."""

from collections.abc import Mapping, Sequence

import numpy as np

RESAMPLES = 10_000
LEVEL = 0.95
# Resampling fewer people than this says little about other people, and two who agree would make an
# interval without width.
FEWEST_PARTICIPANTS = 5
PAPERS_PARTICIPANTS = 25


def study_results(lines: Sequence[Mapping]) -> dict[str, dict]:
    """The result of every model, of the answers that count.

    Args:
        lines: Of a study's answers.jsonl.

    Returns:
        By model: "fooled", the share of trials in which the generated image was taken for the real
        one; "interval", its 95 % confidence interval, see `bootstrap_interval`; "resampled", what the
        interval resamples; "trials"; "participants"; and "notes", sentences.
    """
    answers: dict[str, dict[str, list[bool]]] = {}
    for line in lines:
        if line["event"] == "answer" and not line["practice"]:
            of_model = answers.setdefault(line["model"], {})
            of_model.setdefault(line["participant"], []).append(line["fooled"])
    results = {}
    for model, by_participant in sorted(answers.items()):
        fooled = list(by_participant.values())
        counts = np.array([[sum(one), len(one)] for one in fooled])
        rate = float(counts[:, 0].sum() / counts[:, 1].sum())
        lower, upper = bootstrap_interval(fooled)
        results[model] = {
            "fooled": rate,
            "interval": [lower, upper],
            "resampled": "participants" if len(fooled) >= FEWEST_PARTICIPANTS else "trials",
            "trials": int(counts[:, 1].sum()),
            "participants": len(fooled),
            "notes": _notes(model, rate, int(counts[:, 1].sum()), len(fooled)),
        }
    return results


def bootstrap_interval(fooled: Sequence[Sequence[bool]], seed: int = 0) -> tuple[float, float]:
    """Percentile bootstrap confidence interval of the share of trials that fooled.

    Efron, Tibshirani 1993, An Introduction to the Bootstrap, chapter 13. A participant's answers
    belong together, so that whole participants are drawn again, with all their trials. Of fewer than
    five participants single trials are drawn: such an interval is that of these people's answers.

    Args:
        fooled: For each participant, whether each trial fooled them.
        seed: Of the draws.

    Returns:
        The lower and the upper end, from 0 to 1.
    """
    rng = np.random.default_rng(seed)
    counts = np.array([[np.sum(one), len(one)] for one in fooled])
    if len(counts) >= FEWEST_PARTICIPANTS:
        drawn = rng.integers(len(counts), size=[RESAMPLES, len(counts)])
        rates = counts[drawn, 0].sum(axis=1) / counts[drawn, 1].sum(axis=1)
    else:
        successes, trials = counts.sum(axis=0)
        # How many successes are among as many draws, with replacement, of all trials.
        rates = rng.binomial(trials, successes / trials, RESAMPLES) / trials
    lower, upper = np.quantile(rates, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(lower), float(upper)


def _notes(model: str, rate: float, trials: int, participants: int) -> list[str]:
    notes = []
    if participants < FEWEST_PARTICIPANTS:
        people = "1 participant" if participants == 1 else f"{participants} participants"
        notes.append(
            f"{model}: {trials} answers of {people} are few; the interval is that of their answers "
            f"and says nothing about other people (the paper asked {PAPERS_PARTICIPANTS} a model)"
        )
    if rate in (0, 1):
        who = "nobody was fooled" if rate == 0 else "everybody was fooled"
        # What a binomial distribution leaves a chance of 2.5 % to give only equal answers.
        reach = 1 - ((1 - LEVEL) / 2) ** (1 / trials)
        end = f"up to {reach:.1%}" if rate == 0 else f"down to {1 - reach:.1%}"
        notes.append(
            f"{model}: {who} in {trials} trials, of which a bootstrap makes no width; a rate "
            f"{end} would give that, too"
        )
    return notes


def results_table(results: Mapping[str, Mapping]) -> str:
    """The results in Markdown, a row for each model."""
    lines = [
        "| model | fooled | 95 % interval | trials | participants |",
        "|---|---|---|---|---|",
    ]
    for model, result in results.items():
        lower, upper = result["interval"]
        lines.append(
            f"| {model} | {result['fooled']:.1%} | {lower:.1%} to {upper:.1%} | "
            f"{result['trials']} | {result['participants']} |"
        )
    return "\n".join(lines) + "\n"
