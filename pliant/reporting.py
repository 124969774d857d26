"""The report of a recorded adaptation in words."""

from dataclasses import replace

from meta.evaluation.calibration import fit_evidence
from meta.evaluation.telling import beliefs_of
from meta.language.report import report as report_of
from meta.learners.told import Told, adapter_of
from meta.recording.recorded import Recorded
from meta.recording.taping import phases_of
from meta.recording.trajectory import Recording
from meta.training.trained import Trained
from tasks.registry import elsewhere, make_family


def check_report(trained: Trained, report: bool | str) -> None:
    """Refuse, before anything is recorded, a report that there cannot be.

    Raises:
        ValueError: for a policy that infers no latent, if it is to report; or a family
            whose recordings are footage, which has none.
    """
    if report and elsewhere(trained.cfg.family):
        raise ValueError(f"footage of {trained.cfg.family} has no report")
    if report is True:
        adapter_of(trained.learner)


def with_report(recording: Recorded, trained: Trained, report: bool | str) -> Recorded:
    """Return a recording that says what its policy inferred, and how surely.

    Args:
        recording: made of the policy by `record`.
        trained: the policy.
        report: whether to report; or other words that it is to have.

    Raises:
        ValueError: for words that are no one line, or too long.
    """
    if not report or not isinstance(recording, Recording):
        return recording
    words = report if isinstance(report, str) else _inferred(recording, trained)
    return replace(recording, report=words)


def _inferred(recording: Recording, trained: Trained) -> str:
    """Return what is inferred of the task, by adapting once more to the same episodes.

    Of a team, what its first agent believes.
    """
    after, objects = recording.after, recording.objects
    family = make_family(trained.cfg.family, objects=objects)
    told = trained.learner
    evidence = (
        told.evidence
        if isinstance(told, Told)
        else fit_evidence(trained, objects=objects)
    )
    _, (adapted, count) = phases_of(
        trained, family, recording.task, after.seed, after.adapt_episodes
    )
    belief, *_ = beliefs_of(adapted, evidence)
    return report_of(None, {count: belief})
