"""Backends of other packages are checked against the contract when they are loaded."""

import pytest

from exoactor_core import stages
from exoactor_core.errors import BadInput
from exoactor_core.stages import Estimator, Generator, backend_class, load_backend, no_progress


class Whole(Generator):
    """Makes no video.

    With more words.
    """

    def __init__(self, size: int = 1) -> None:
        self.size = size

    def __call__(self, request, progress=no_progress, **callbacks):
        return "made"


class NotDerived:
    def __call__(self, request, progress=no_progress, on_plan=None, on_job=None):
        return None


class OfAnotherStage(Estimator):
    def __call__(self, video, progress=no_progress, on_segment=None):
        return None


class NotCallable(Generator):
    pass


class WithoutCallbacks(Generator):
    def __call__(self, request, progress=no_progress, on_plan=None):
        return None


class Entry:
    value = "somewhere:Backend"

    def __init__(self, kind):
        self.load = lambda: kind


def install(monkeypatch, kind):
    monkeypatch.setattr(stages, "entry_points", lambda **_: [Entry(kind)])


def test_a_backend_that_keeps_the_contract_loads(monkeypatch):
    install(monkeypatch, Whole)
    backend = load_backend("generate", "mine", size=3)
    assert backend.size == 3
    assert backend.judged
    assert backend.ready() == "Makes no video."
    assert backend(None) == "made"
    with pytest.raises(BadInput, match="Whole makes no plans"):
        backend.plan(None)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (NotDerived, "not derived from exoactor_core.stages.Generator"),
        (OfAnotherStage, "not derived from exoactor_core.stages.Generator"),
        (load_backend, "not derived from exoactor_core.stages.Generator"),
        (NotCallable, "does not define __call__"),
        (WithoutCallbacks, "cannot be called as Generator is .*'on_job'"),
    ],
)
def test_one_that_does_not_is_refused_in_one_sentence(monkeypatch, kind, said):
    install(monkeypatch, kind)
    with pytest.raises(BadInput, match=f"^The backend 'mine' of generate \\(somewhere:Backend\\) .*{said}.*docs/"):
        backend_class("generate", "mine")
