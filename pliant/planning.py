"""The public function that gives jobs to robots, by what they tell of themselves."""

from collections.abc import Mapping, Sequence

from meta.evaluation.dispatch import Plan, expected, make_plan
from meta.language.belief import Belief
from meta.language.complete import Complete
from meta.language.message import Message, heard
from meta.language.orders import model_orders, understand_orders
from meta.training.trained import Trained, load_trained
from pliant.telling import believe
from tasks.registry import find_family


def dispatch(
    policy: Trained | str,
    told: Mapping[str, str | Belief | Message],
    jobs: Sequence[str],
    *,
    orders: str = "",
    model: Complete | None = None,
    seed: int = 0,
    threads: int = 0,
) -> Plan:
    """Return who does which job, from what robots have told about themselves.

    A solver decides, by what an informed robot is expected to earn, and obeys orders
    in words: "robot 2 is broken; robot 1 must do job 3". Words are data: all that they
    can do is to say something about a robot or to order.

    Args:
        policy: the oracle of the robots' family, or where it is.
        told: a text, a belief or a message of each robot about itself, by its name.
        jobs: names of the jobs, the states that the seed's episodes start in.
        orders: what the plan has to obey.
        model: reads texts and orders; by default the lexicon and rules do.
        seed: decides the jobs, and the imagined tasks that a robot's worth is that of.
        threads: simulator threads; 0 means one per CPU.

    Raises:
        ValueError: for no robot or no job, names that are not different, a policy that
            is no oracle, or orders that contradict each other or cannot all be kept.
        ImportError: without SciPy.

    Warns:
        UserWarning: where rules or the lexicon answer in the place of a model, and of
            what in the orders rules do not understand.
    """
    trained = load_trained(policy) if isinstance(policy, str) else policy
    robots = list(told)
    _check_names(robots, jobs, orders)
    name = trained.cfg.family
    family = find_family(name)
    beliefs: list[Belief] = []
    for said in told.values():
        match said:
            case str():
                beliefs.append(believe(said, name, model=model))
            case Message():
                beliefs.append(heard(said, family))
            case Belief():
                beliefs.append(said)
            case _:
                raise ValueError(
                    f"a robot tells a text, a belief or a message, got {said!r:.60}"
                )
    if model is None or not orders:
        read_as = understand_orders(orders, robots, jobs)
    else:
        read_as = model_orders(orders, robots, jobs, model)
    read_as.check(robots, jobs)
    worth = expected(trained, beliefs, len(jobs), seed=seed, threads=threads)
    return make_plan(worth, robots, jobs, read_as)


def _check_names(
    robots: Sequence[object], jobs: Sequence[object], orders: object
) -> None:
    """Raise ValueError unless there are names, all different, and orders are a text."""
    if isinstance(jobs, str) or not isinstance(orders, str):
        raise ValueError(
            f"jobs are a list of names, and orders a text; got {jobs!r:.60} and "
            f"{orders!r:.60}"
        )
    for kind, names in (("robot", robots), ("job", jobs)):
        if not names or not all(isinstance(x, str) and x.strip() for x in names):
            raise ValueError(f"name at least one {kind}, by a text; got {names!r:.60}")
    both = [str(name).lower() for name in (*robots, *jobs)]
    if twice := sorted({name for name in both if both.count(name) > 1}):
        raise ValueError(f"robots and jobs have different names; twice: {twice[0]!r}")
